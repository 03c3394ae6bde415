"""What is the same in every repository."""

from typing import Any, Generic, TypeVar

from bson import ObjectId

from datalayer.documents.base import Document
from datalayer.errors import NotFoundError
from datalayer.repositories.boundary import Many, guard_public_methods
from datalayer.repositories.connection import Collection, Connection

D = TypeVar("D", bound=Document)
I = TypeVar("I", bound=ObjectId)  # noqa: E741


class Repository(Generic[D, I]):
    """The documents of one collection, and every query on them."""

    document: type[D]

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        guard_public_methods(cls)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of the database {self._connection.database.name!r}>"

    async def get(self, id: I) -> D:
        """The document. One round trip, `_id`.

        Raises:
            NotFoundError: There is none.
        """
        return self._found(await self._one({"_id": id}), id)

    async def find(self, id: I) -> D | None:
        """The document, or `None`. One round trip, `_id`."""
        return await self._one({"_id": id})

    async def get_many(self, ids: Many[I]) -> dict[I, D]:
        """The documents by id, without those that are missing. One round trip, `_id`."""
        return {document.id: document for document in await self._all({"_id": {"$in": ids}})}

    @property
    def _collection(self) -> Collection:
        return self._connection.collection(self.document)

    async def _one(self, filter: dict[str, Any]) -> D | None:
        wire = await self._collection.find_one(filter)
        return None if wire is None else self.document.from_wire(wire)

    async def _all(self, filter: dict[str, Any]) -> list[D]:
        from_wire = self.document.from_wire
        return [from_wire(wire) for wire in await self._collection.find(filter).to_list()]

    def _found(self, document: D | None, id: I) -> D:
        if document is None:
            raise NotFoundError(f"There is no document {id} in {self.document.Settings.name}.")
        return document


class SoftDeletingRepository(Repository[D, I]):
    """A repository whose documents are marked as deleted, and can be restored."""

    async def get(self, id: I, *, include_deleted: bool = False) -> D:
        """The document. One round trip, `_id`.

        Raises:
            NotFoundError: There is none, or it is deleted.
        """
        return self._found(await self._one({"_id": id, **_alive(include_deleted)}), id)

    async def find(self, id: I, *, include_deleted: bool = False) -> D | None:
        """The document, or `None` where there is none or it is deleted. One round trip, `_id`."""
        return await self._one({"_id": id, **_alive(include_deleted)})

    async def get_many(self, ids: Many[I], *, include_deleted: bool = False) -> dict[I, D]:
        """The documents by id, without those that are missing or deleted. One round trip, `_id`."""
        found = await self._all({"_id": {"$in": ids}, **_alive(include_deleted)})
        return {document.id: document for document in found}


def _alive(include_deleted: bool) -> dict[str, None]:
    return {} if include_deleted else {"deletedAt": None}


guard_public_methods(Repository)
