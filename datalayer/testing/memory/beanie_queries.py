"""Rejects Beanie's own queries while a database in memory is open."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any, cast

from datalayer.engine.binding import bind, unbind
from datalayer.engine.database import initialize_beanie, is_initialized
from datalayer.engine.document import Document
from datalayer.testing.memory.collections import Refusing
from datalayer.testing.memory.language import unsupported


class _Collection(Refusing):
    """A collection that rejects every operation."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __getattr__(self, name: str) -> object:
        raise unsupported(f"Beanie's own queries, such as {name}")


class _Client:
    append_metadata = None


class _Database:
    """A database that lets Beanie initialize the classes, and rejects every query."""

    client = _Client()

    async def command(self, _: object) -> dict[str, str]:
        """Return the server's version, the only thing that Beanie requests."""
        return {"version": "6.0.0"}

    async def list_collection_names(self, **_: object) -> list[str]:
        """Return no names: Beanie creates no collections here."""
        return []

    def __getitem__(self, name: str) -> _Collection:
        return _Collection(name)


@asynccontextmanager
async def beanie_queries_refused(documents: Sequence[type[Document]]) -> AsyncGenerator[None]:
    """Make Beanie's queries of these classes raise `NotSupportedInMemory` inside the block."""
    database = cast("Any", _Database())
    if not all(map(is_initialized, documents)):
        await initialize_beanie(database, documents)
    bind(database, documents)
    try:
        yield
    finally:
        unbind(database, documents)
