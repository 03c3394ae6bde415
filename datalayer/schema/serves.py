"""Which repository methods each index serves, as their docstrings say."""

import inspect
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from pymongo import AsyncMongoClient

from datalayer.engine.clock import system_clock
from datalayer.engine.database import Database
from datalayer.engine.repository import Queries

Serves: TypeAlias = Mapping[str, Sequence[str]]
"""The repository methods that an index serves, by the index's name."""


def serves(products: Sequence[type[Database]]) -> dict[str, Serves]:
    """For each collection the methods, written as `posts.feed`, that its indexes serve."""
    found: defaultdict[str, defaultdict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for product in products:
        declared = {
            document.Settings.name: {index.name for index in document.Settings.indexes}
            for document in product.documents
        }
        for attribute, queries in _queries(product):
            own: str = queries.document.Settings.name
            for name, method in inspect.getmembers(type(queries), inspect.iscoroutinefunction):
                for index in sorted(set(re.findall(r"\b\w+\b", method.__doc__ or ""))):
                    # An index of the repository's own collection; else one of whoever has an index of that name.
                    owners = [own] if index in declared[own] else [c for c, names in declared.items() if index in names]
                    for owner in owners * (not name.startswith("_")):
                        found[owner][index].append(f"{attribute}.{name}")
    return {collection: dict(indexes) for collection, indexes in found.items()}


def _queries(product: type[Database]) -> Iterator[tuple[str, Queries[Any, Any]]]:
    """The repositories and extensions of a product."""
    # Never connected: they are looked at, not used.
    client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(connect=False)
    for attribute, value in vars(product(client["never"], system_clock)).items():
        if isinstance(value, Queries):
            yield attribute, value
