"""The database whose data is in this process, with what the repositories ask of the driver's."""

from collections.abc import Sequence
from typing import Any, Self

from datalayer.documents.base import Document
from datalayer.testing.memory.collections import Collection, Refusing
from datalayer.testing.memory.transactions import Client


class Nothing(Refusing):
    """A collection that no document declares: there is nothing in it, and nothing gets in."""

    async def find_one(self, *_arguments: object, **_options: object) -> None:
        """No document."""


class Database(Refusing):
    """The collections of the documents, in the driver's terms."""

    def __init__(self, name: str, documents: Sequence[type[Document]], engine: Any) -> None:  # noqa: ANN401
        self.name = name
        self.client = Client()
        self._collections = {
            document.Settings.name: Collection(document, engine[document.Settings.name], self.client)
            for document in documents
        }

    def with_options(self, **_options: object) -> Self:
        """The same: what is written is there at once, and for everybody."""
        return self

    def __getitem__(self, name: str) -> Collection | Nothing:
        return self._collections.get(name) or Nothing()

    def __getattr__(self, name: str) -> object:
        """A collection: the driver lets it be an attribute too."""
        return self[name] if name in self.__dict__.get("_collections", ()) else super().__getattr__(name)
