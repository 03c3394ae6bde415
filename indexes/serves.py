"""The repository methods that each index serves, as the "Cost:" lines of their docstrings say; the tests prove those."""

import inspect
import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

from pymongo import AsyncMongoClient

from datalayer.database import Community, Database, Stories
from datalayer.engine.clock import system_clock
from datalayer.engine.repository import Repository
from datalayer.schema.manifest import Serves

PRODUCTS: tuple[type[Database], ...] = (Community, Stories)

_COST = re.compile(r"^\s*Cost: (.+)\Z", flags=re.DOTALL | re.MULTILINE)
_INDEX_NAME = re.compile(r"\bby_\w+")


def cost(method: Callable[..., object]) -> str:
    """Return what the method's docstring says after "Cost:", the last paragraph; empty if there is none."""
    found = _COST.search(method.__doc__ or "")
    return found[1] if found else ""


def indexes_in(cost: str) -> set[str]:
    """Return the names of the indexes in a cost."""
    return set(_INDEX_NAME.findall(cost))


def serves() -> dict[str, Serves]:
    """Return for each collection the methods, written as `posts.feed`, that its indexes serve."""
    found: defaultdict[str, defaultdict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for product in PRODUCTS:
        declared = {
            document.Settings.name: {index.name for index in document.Settings.indexes}
            for document in product.documents
        }
        for attribute, repository in _repositories(product):
            own: str = repository.document.Settings.name
            for name, method in inspect.getmembers(type(repository), inspect.iscoroutinefunction):
                for index in sorted(indexes_in(cost(method))):
                    # An index of the repository's own collection, else of every collection with an index of that name.
                    owners = [own] if index in declared[own] else [c for c, names in declared.items() if index in names]
                    for owner in owners * (not name.startswith("_")):
                        found[owner][index].append(f"{attribute}.{name}")
    return {collection: dict(indexes) for collection, indexes in found.items()}


def _repositories(product: type[Database]) -> Iterator[tuple[str, Repository[Any, Any]]]:
    # Never connected: the repositories are inspected, not used.
    client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(connect=False)
    for attribute, value in vars(product(client["never"], system_clock)).items():
        if isinstance(value, Repository):
            yield attribute, value
