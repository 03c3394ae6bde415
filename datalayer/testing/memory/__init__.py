"""The databases in memory: for quick unit tests of code that uses the repositories.

mongomock-motor does the work. It differs silently from MongoDB in much, so what is asked of it is held against a list
first: what is not on it raises `NotSupportedInMemory`, before anything is written. So a call has the result that it has
on a server, or that error: a test makes every example call of every method on both.

What differs: there are no round trips and no conflicts; transactions run one after the other; documents are checked by
their classes, which also refuse the blank strings that the server's validators let through; and Beanie's own queries
(`Post.find(...)`) are refused while such a database is the one that was opened last.
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from importlib import import_module
from typing import Any, Self, TypeVar, cast

from datalayer import database
from datalayer.engine.clock import Clock, system_clock
from datalayer.engine.document import Document
from datalayer.errors import NotSupportedInMemory
from datalayer.testing.memory.beanie_queries import beanie_queries_refused
from datalayer.testing.memory.collections import Collection, Refusing
from datalayer.testing.memory.transactions import Client

D = TypeVar("D", bound=database.Database)


@asynccontextmanager
async def open_in_memory(kind: type[D], clock: Clock | None = None) -> AsyncGenerator[D]:
    """An empty database whose data is in this process, and gone at the end.

    Args:
        kind: `Community`, `Stories`, or a product of your own.
        clock: Gives Unix milliseconds; every timestamp that is written comes from it.

    Raises:
        NotSupportedInMemory: mongomock-motor is not installed.
    """
    try:
        engine: Any = import_module("mongomock_motor").AsyncMongoMockClient()[kind.default_name]
    except ModuleNotFoundError as missing:
        raise NotSupportedInMemory(
            f"The in-memory database needs {missing.name}.", hint="pip install 'opentribe-datalayer[memory]'"
        ) from missing
    opened = kind(cast("Any", Database(kind.default_name, kind.documents, engine)), clock or system_clock)
    async with beanie_queries_refused(kind.documents):
        yield opened


class Nothing(Refusing):
    """A collection that no document declares: there is nothing in it, and nothing gets in."""

    async def find_one(self, *_arguments: object, **_options: object) -> None:
        """No document."""


class Database(Refusing):
    """The collections of the documents, in the driver's terms."""

    def __init__(self, name: str, documents: Sequence[type[Document]], engine: Any) -> None:  # noqa: ANN401
        self.name = name
        self.client = Client()
        self._collections: dict[str, Collection] = {}
        for document in documents:
            table = document.Settings.name
            self._collections[table] = Collection(document, engine[table], self.client, self._collections)

    def with_options(self, **_options: object) -> Self:
        """The same: what is written is there at once, and for everybody."""
        return self

    def __getitem__(self, name: str) -> Collection | Nothing:
        return self._collections.get(name) or Nothing()

    def __getattr__(self, name: str) -> object:
        """A collection: the driver lets it be an attribute too."""
        return self[name] if name in self.__dict__.get("_collections", ()) else super().__getattr__(name)
