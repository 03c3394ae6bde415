"""The database whose data is in this process, with what the repositories ask of the driver's."""

from collections.abc import Mapping, Sequence
from typing import Any, Self

from datalayer.documents.base import Document
from datalayer.testing.memory.collections import Collection, Unknown
from datalayer.testing.memory.tables import Table
from datalayer.testing.memory.transactions import Client
from datalayer.testing.memory.values import unsupported


class Nothing(Unknown):
    """A collection that no document declares: there is nothing in it, and nothing gets in."""

    async def find_one(self, *_arguments: object, **_options: object) -> None:
        """No document."""


class Database(Unknown):
    """The collections of the documents, in the driver's terms."""

    def __init__(self, name: str, documents: Sequence[type[Document]], engine: Any) -> None:  # noqa: ANN401
        self.name = name
        self.client = Client()
        tables = [Table(document, engine[document.Settings.name], self.client) for document in documents]
        self._tables: Mapping[str, Table] = {table.name: table for table in tables}

    def with_options(self, **_options: object) -> Self:
        """The same: what is written is there at once, and for everybody."""
        return self

    def __getitem__(self, name: str) -> Collection | Nothing:
        return Collection(self._tables[name], self._table) if name in self._tables else Nothing()

    def __getattr__(self, name: str) -> object:
        """A collection: the driver lets it be an attribute too."""
        return self[name] if name in self.__dict__.get("_tables", ()) else super().__getattr__(name)

    def _table(self, name: str) -> Table:
        if name not in self._tables:
            raise unsupported(f"the collection {name}, which no document declares")
        return self._tables[name]
