"""Databases in memory, for fast unit tests of code that uses the repositories.

They are based on mongomock-motor, which silently differs from MongoDB in many ways. So every operation is first checked
against a list of supported ones: any other raises `NotSupportedInMemory`, before anything is written. A call therefore
either has the same result as on a server or raises that error; a test runs every example call of every method on both.

Differences: there are no round trips and no conflicts. Transactions run one after another. Documents are validated by
their classes, which also reject the blank strings that the server's validators accept. Beanie's own queries
(`Post.find(...)`) are rejected while such a database is the most recently opened one.
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from importlib import import_module
from typing import Any, Self, TypeVar, cast

from datalayer import database
from datalayer.engine.clock import Clock, system_clock
from datalayer.engine.document import Document
from datalayer.errors import MissingExtraError
from datalayer.testing.memory.beanie_queries import beanie_queries_refused
from datalayer.testing.memory.collections import Collection, Refusing
from datalayer.testing.memory.transactions import Client

D = TypeVar("D", bound=database.Database)


@asynccontextmanager
async def open_in_memory(kind: type[D], clock: Clock | None = None) -> AsyncGenerator[D]:
    """Open an empty database in memory. Its data is gone when the block ends.

    Args:
        kind: `Community`, `Stories` or your own product.
        clock: Returns the current time in Unix milliseconds. Every written timestamp comes from it.

    Raises:
        MissingExtraError: mongomock-motor is not installed.
    """
    try:
        engine: Any = import_module("mongomock_motor").AsyncMongoMockClient()[kind.default_name]
    except ModuleNotFoundError as missing:
        raise MissingExtraError(
            f"Databases in memory need {missing.name}, which is not installed.",
            hint="Install it with pip install 'opentribe-datalayer[memory]'.",
        ) from missing
    opened = kind(cast("Any", Database(kind.default_name, kind.documents, engine)), clock or system_clock)
    async with beanie_queries_refused(kind.documents):
        yield opened


class Nothing(Refusing):
    """A collection that no document declares: always empty, and not writable."""

    async def find_one(self, *_arguments: object, **_options: object) -> None:
        """No document."""


class Database(Refusing):
    """The collections of the documents, with the interface of the driver's database."""

    def __init__(self, name: str, documents: Sequence[type[Document]], engine: Any) -> None:  # noqa: ANN401
        self.name = name
        self.client = Client()
        self._collections: dict[str, Collection] = {}
        for document in documents:
            table = document.Settings.name
            self._collections[table] = Collection(document, engine[table], self.client, self._collections)

    def with_options(self, **_options: object) -> Self:
        """Return the same database: writes are immediately visible to everyone."""
        return self

    def __getitem__(self, name: str) -> Collection | Nothing:
        return self._collections.get(name) or Nothing()

    def __getattr__(self, name: str) -> object:
        """Return a collection; the driver also allows attribute access."""
        return self[name] if name in self.__dict__.get("_collections", ()) else super().__getattr__(name)
