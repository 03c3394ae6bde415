"""Which repository methods each index serves, as their docstrings say; the tests prove the docstrings."""

import inspect
import re
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from pymongo import AsyncMongoClient

from datalayer.database import Community, Database, Stories
from datalayer.engine.clock import system_clock
from datalayer.engine.repository import Repository
from datalayer.schema.manifest import Serves

PRODUCTS: tuple[type[Database], ...] = (Community, Stories)

_INDEX_NAME = re.compile(r"\bby_\w+")


def serves() -> dict[str, Serves]:
    """For each collection the methods, written as `posts.feed`, that its indexes serve."""
    found: defaultdict[str, defaultdict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for product in PRODUCTS:
        declared = {
            document.Settings.name: {index.name for index in document.Settings.indexes}
            for document in product.documents
        }
        for attribute, repository in _repositories(product):
            own: str = repository.document.Settings.name
            for name, method in inspect.getmembers(type(repository), inspect.iscoroutinefunction):
                for index in sorted(set(_INDEX_NAME.findall(method.__doc__ or ""))):
                    # An index of the repository's own collection; else one of whoever has an index of that name.
                    owners = [own] if index in declared[own] else [c for c, names in declared.items() if index in names]
                    for owner in owners * (not name.startswith("_")):
                        found[owner][index].append(f"{attribute}.{name}")
    return {collection: dict(indexes) for collection, indexes in found.items()}


def _repositories(product: type[Database]) -> Iterator[tuple[str, Repository[Any, Any]]]:
    # Never connected: the repositories are looked at, not used.
    client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(connect=False)
    for attribute, value in vars(product(client["never"], system_clock)).items():
        if isinstance(value, Repository):
            yield attribute, value
