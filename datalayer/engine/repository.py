"""The base classes of all repositories."""

import itertools
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar

from bson import MaxKey, MinKey, ObjectId
from pymongo import ReturnDocument

from datalayer.engine.batches import at_once_or_in_batches, count_at_once_or_in_batches
from datalayer.engine.boundary import UNSET, AnyCollection, guard_public_methods
from datalayer.engine.connection import Collection, Connection, Owner
from datalayer.engine.document import Document
from datalayer.engine.errors import InvalidDefinitionError, NotFoundError
from datalayer.engine.pages import Number, Page, PositionValue, decode_cursor, encode_cursor

DocumentT = TypeVar("DocumentT", bound=Document)
IdT = TypeVar("IdT", bound=ObjectId)
Other = TypeVar("Other", bound=Document)
T = TypeVar("T")

ALIVE: Mapping[str, None] = {"deletedAt": None}
"""The filter for documents that are not marked as deleted."""

AT_ONCE = 1_000_000
"""The batch size for lists that are read completely: the server's default of 101 would cost a second round trip."""

_NUMBER_OR_NONE = Number | None

# The server merges a sort from one index scan for each value of an `$in`, up to 200 scans.
_MERGED_VALUES = 200


@dataclass(frozen=True, slots=True)
class Children:
    """Documents that belong to another one: the field that holds its id, and the index on that field."""

    document: type[Document]
    field: str
    index: str


class Queries(Generic[DocumentT, IdT]):
    """The documents of one collection, and the queries on them: the base of `Repository` and `Extension`."""

    document: type[DocumentT]
    """The class of the documents. Where the product extends it, an open database has the product's class here."""

    belongs_to: Owner | None = None
    """The owner that these documents are removed with, and the field that holds its id.

    Documents whose owner is gone are not found: removing very many continues for a while after the owner's removal.
    """

    def __init__(self, connection: Connection) -> None:
        connection.require(self.document, type(self).__name__)
        self._connection = connection
        self.document = connection.class_of(self.document)

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        guard_public_methods(cls)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of the database {self._connection.database.name!r}>"

    async def get(self, id: IdT) -> DocumentT:
        """Return the document.

        Raises:
            NotFoundError: The document does not exist.

        Cost: 1 round trip; index `_id`.
        """
        return self._found(await self._visible_one({"_id": id}), id)

    async def find(self, id: IdT) -> DocumentT | None:
        """Return the document, or `None`.

        Cost: 1 round trip; index `_id`.
        """
        return await self._visible_one({"_id": id})

    async def get_many(self, ids: AnyCollection[IdT]) -> dict[IdT, DocumentT]:
        """Return the documents by id. Missing documents are left out.

        Cost: 1 round trip; index `_id`.
        """
        return {document.id: document for document in await self._visible({"_id": {"$in": ids}}, hint="_id_")}

    @property
    def _collection(self) -> Collection:
        return self._connection.collection(self.document)

    def _of(self, document: type[Document], *, durable: bool = False) -> Collection:
        """Return another collection; `durable` as in `Connection.collection`."""
        return self._connection.collection(document, durable=durable)

    def _class(self, document: type[Other]) -> type[Other]:
        """Return the class that this database uses for another collection's documents."""
        return self._connection.class_of(document)

    def _now(self) -> int:
        return self._connection.now()

    async def _one(
        self, filter: Mapping[str, Any], *, hint: str | None = None, durable: bool = False
    ) -> DocumentT | None:
        wire = await self._of(self.document, durable=durable).find_one(filter, hint=hint)
        return None if wire is None else self.document.from_wire(wire)

    async def _all(
        self, filter: Mapping[str, Any], *, sort: Mapping[str, int] | None = None, hint: str | None = None
    ) -> list[DocumentT]:
        wires = await self._collection.find(filter, sort=sort, batch_size=AT_ONCE, hint=hint).to_list()
        return self.document.from_wires(wires)

    async def _visible_one(self, filter: Mapping[str, Any]) -> DocumentT | None:
        if self.belongs_to is None:
            return await self._one(filter)
        return next(iter(await self._visible(filter)), None)

    async def _visible(
        self, filter: Mapping[str, Any], *, sort: Mapping[str, int] | None = None, hint: str | None = None
    ) -> list[DocumentT]:
        """Return the documents, except those whose owner is gone. One round trip."""
        if self.belongs_to is None:
            return await self._all(filter, sort=sort, hint=hint)
        owner, field = self.belongs_to
        lookup = {
            "from": owner.Settings.name,
            "localField": field,
            "foreignField": "_id",
            "pipeline": [{"$project": {"_id": 1}}],
            "as": "owner",
        }
        order = [] if sort is None else [{"$sort": sort}]
        pipeline = [{"$match": filter}, *order, {"$lookup": lookup}]
        options: dict[str, Any] = {} if hint is None else {"hint": hint}
        cursor = await self._collection.aggregate(pipeline, batchSize=AT_ONCE, **options)
        return self.document.from_wires([wire for wire in await cursor.to_list() if wire["owner"]])

    def _found(self, document: DocumentT | None, id: IdT) -> DocumentT:
        if document is None:
            raise not_found(self.document, id)
        return document

    async def _insert(self, document: DocumentT) -> DocumentT:
        await self._collection.insert_one(document.to_wire())
        return document

    async def _update(
        self, filter: Mapping[str, Any], update: Mapping[str, Any] | Sequence[Mapping[str, Any]]
    ) -> DocumentT:
        """Update the one document that the filter finds by its `_id`, and return the updated document. One round trip.

        Raises:
            NotFoundError: The filter finds no document.
        """
        if not update:
            return self._found(await self._one(filter, durable=True), filter["_id"])
        wire = await self._collection.find_one_and_update(filter, update, return_document=ReturnDocument.AFTER)
        return self._found(None if wire is None else self.document.from_wire(wire), filter["_id"])

    async def _update_all(
        self, filter: Mapping[str, Any], update: Mapping[str, Any] | Sequence[Mapping[str, Any]], index: str
    ) -> int:
        """Update all documents that the filter finds, and return how many. The filter must not find them afterwards.

        A transaction of 2 round trips: without it the server may fail halfway, and the driver does not retry updates of
        many documents. Very many documents are updated in batches.

        Raises:
            IncompleteError: Some of the batches did not succeed.
        """

        async def at_once() -> int:
            return (await self._collection.update_many(filter, update, hint=index)).modified_count

        async def batch(_after: ObjectId | None, size: int) -> list[ObjectId]:
            found = self._collection.find(filter, {"_id": 1}, limit=size, batch_size=AT_ONCE, hint=index)
            ids = [wire["_id"] for wire in await found.to_list()]
            await self._collection.update_many({"_id": {"$in": ids}}, update)
            return ids

        return await count_at_once_or_in_batches(self._connection, at_once, batch)

    async def _delete_with(
        self, id: IdT, delete: Callable[[], Awaitable[bool]], children: Sequence[Children], *, size: int | None = None
    ) -> None:
        """Remove a document and everything that belongs to it.

        If that is too much for one transaction, the document is removed first, and its children in batches. Children
        that an interrupted call left behind are removed by the next call for the same id.

        Args:
            id: The id of the document.
            delete: Removes the document, in a transaction. Returns whether it existed.
            children: The kinds of documents that belong to it.
            size: The number of children removed in a batch.

        Raises:
            NotFoundError: The document does not exist, and it has no children left.
            IncompleteError: The document was removed, but not everything that belongs to it.
        """

        async def begin() -> None:
            if not await delete() and not await self._any_left(id, children):
                raise not_found(self.document, id)

        async def at_once() -> None:
            await begin()
            for kind in children:
                await self._of(kind.document).delete_many({kind.field: id}, hint=kind.index)

        batches = [partial(self._delete_batch, id, kind) for kind in children]
        await at_once_or_in_batches(self._connection, at_once, begin, batches, size=size)

    async def _any_left(self, id: ObjectId, children: Sequence[Children]) -> bool:
        for kind in children:
            if await self._of(kind.document).find_one({kind.field: id}, {"_id": 1}, hint=kind.index) is not None:
                return True
        return False

    async def _delete_batch(
        self, id: ObjectId, children: Children, _after: ObjectId | None, size: int
    ) -> Sequence[ObjectId]:
        collection = self._of(children.document)
        found = collection.find({children.field: id}, {"_id": 1}, limit=size, batch_size=AT_ONCE, hint=children.index)
        ids = [wire["_id"] for wire in await found.to_list()]
        await collection.delete_many({"_id": {"$in": ids}})
        return ids

    def _changes(self, **fields: object) -> dict[str, dict[str, object]]:
        """Return update operators for fields, by their names in Python. `None` removes a field, `UNSET` skips it."""
        changed = {name: value for name, value in fields.items() if value is not UNSET}
        if changed.keys() <= {"updated_at", "edited_at"}:
            # A new timestamp alone is not a change.
            return {}
        wire = {name: self.document.model_fields[name].alias or name for name in changed}
        sets = {wire[name]: value for name, value in changed.items() if value is not None}
        unsets: dict[str, object] = {wire[name]: "" for name, value in changed.items() if value is None}
        return {operator: fields for operator, fields in (("$set", sets), ("$unset", unsets)) if fields}

    async def _require(self, document: type[Document], id: ObjectId) -> None:
        """Make sure that a document exists and is not deleted, before another one refers to it. One round trip.

        Raises:
            NotFoundError: The document does not exist, or is deleted.
        """
        if await self._of(document).find_one({"_id": id, **alive(document)}, {"_id": 1}) is None:
            raise not_found(document, id)

    async def _page(
        self,
        filter: Mapping[str, Any],
        index: str,
        limit: int,
        after: str | None,
        *,
        newest_first: bool = True,
        only_if: Callable[[], Awaitable[object]] | None = None,
    ) -> Page[DocumentT]:
        """Return a page in the order of an index, within one value of its leading fields. One round trip.

        The filter begins with those fields; the server checks its other conditions document by document. `only_if` is
        called after the cursor has been decoded; if it returns a false value, the page is empty.
        """
        fields = [name for name, _ in self._keys_of(index)]
        prefix = {name: filter[name] for name in itertools.takewhile(lambda name: name in filter, fields)}
        order = fields[len(prefix) :]
        query = (self.document.Settings.name, index, newest_first, prefix)
        kinds = [ObjectId if name == "_id" else _NUMBER_OR_NONE for name in order]
        position = None if after is None else dict(zip(order, decode_cursor(query, after, kinds), strict=True))
        if only_if is not None and not await only_if():
            return Page([])
        # The upper bound of a scan is exclusive, the lower one inclusive: oldest first, the item at the cursor repeats.
        again = 1 if position is not None and not newest_first else 0
        direction = -1 if newest_first else 1
        cursor = self._collection.find(
            filter, sort=dict.fromkeys(order, direction), limit=limit + 1 + again, batch_size=AT_ONCE, hint=index
        )
        if position is not None:
            low, high = dict.fromkeys(order, MinKey()), dict.fromkeys(order, MaxKey())
            bounds: Any = (low, position) if newest_first else (position, high)
            cursor.min([*prefix.items(), *bounds[0].items()]).max([*prefix.items(), *bounds[1].items()])
        wires = await cursor.to_list()
        if again and wires and position is not None and wires[0]["_id"] == position["_id"]:
            del wires[0]
        return page_of(wires, limit, query, order, self.document.from_wires)

    def _keys_of(self, index: str) -> Sequence[tuple[str, int]]:
        for item in self.document.Settings.indexes:
            if item.name == index:
                return item.keys
        raise InvalidDefinitionError(f"{type(self).__name__}: {self.document.__name__} has no index {index!r}.")

    async def _filtered_page(
        self,
        filter: Mapping[str, Any],
        index: str,
        lookups: Sequence[Mapping[str, Any]],
        keep: Callable[[Mapping[str, Any]], object],
        *,
        limit: int,
        after: str | None,
        only_if: Callable[[], Awaitable[object]] | None = None,
    ) -> Page[DocumentT]:
        """Return a page of the documents that `keep` accepts after the lookups, newest first; `only_if` as in `_page`.

        One round trip if at most a fifth is rejected, otherwise more: each reads twice as many as the one before.
        A single aggregation that ends in a limit would cost more: the server reads 4 MB of documents ahead of the stage
        that follows a scan.
        """
        query = (self.document.Settings.name, index, filter)
        position = {} if after is None else {"_id": {"$lt": decode_cursor(query, after, [ObjectId])[0]}}
        if only_if is not None and not await only_if():
            return Page([])
        wires: list[dict[str, Any]] = []
        size = limit + limit // 5 + 3
        while True:
            scan = [{"$match": {**filter, **position}}, {"$sort": {"_id": -1}}, {"$limit": size}]
            cursor = await self._collection.aggregate([*scan, *lookups], batchSize=AT_ONCE, hint=index)
            found = await cursor.to_list()
            wires += [wire for wire in found if keep(wire)]
            if len(found) < size or len(wires) > limit:
                return page_of(wires, limit, query, ["_id"], self.document.from_wires)
            position = {"_id": {"$lt": found[-1]["_id"]}}
            size *= 2

    async def _merged_page(
        self,
        field: str,
        owners: Callable[[], Awaitable[Sequence[ObjectId]]],
        limit: int,
        after: str | None,
        query: object,
    ) -> Page[DocumentT]:
        """Return a page of the documents of several owners, newest first. One round trip; one index seek per owner.

        Uses the index on (`field`, `createdAt`). Inside a transaction, one round trip for each 200 owners.
        """
        order = {"createdAt": -1, "_id": -1}
        position = None if after is None else decode_cursor(query, after, [Number, ObjectId])
        values = await owners()
        parts: list[list[dict[str, Any]]] = []
        for start in range(0, len(values), _MERGED_VALUES):
            of_owners = {field: {"$in": values[start : start + _MERGED_VALUES]}, **ALIVE}
            older = of_owners if position is None else older_than(position, of_owners)
            parts.append([{"$match": older}, {"$sort": order}, {"$limit": limit + 1}])
        wires = await self._union(parts, f"by_{field}_and_createdAt")
        wires.sort(key=lambda wire: (wire["createdAt"], wire["_id"]), reverse=True)
        return page_of(wires, limit, query, list(order), self.document.from_wires)

    async def _union(self, pipelines: Sequence[Sequence[Mapping[str, Any]]], index: str) -> list[dict[str, Any]]:
        """Return the results of all pipelines. One round trip; inside a transaction, one for each pipeline."""
        collection = self._collection
        if len(pipelines) > 1 and not self._connection.transaction_is_open():
            # The server does not allow `$unionWith` inside a transaction.
            others = [{"$unionWith": {"coll": collection.name, "pipeline": other}} for other in pipelines[1:]]
            pipelines = [[*pipelines[0], *others]]
        cursors = [await collection.aggregate(pipeline, batchSize=AT_ONCE, hint=index) for pipeline in pipelines]
        return [wire for cursor in cursors for wire in await cursor.to_list()]


class Repository(Queries[DocumentT, IdT]):
    """The documents of one collection, and every query and change of them."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        connection.note_owner(self.document, self.belongs_to)

    async def delete(self, id: IdT) -> None:
        """Remove the document permanently.

        Raises:
            NotFoundError: The document does not exist.

        Cost: 1 round trip; index `_id`.
        """
        if (await self._collection.delete_one({"_id": id})).deleted_count == 0:
            raise not_found(self.document, id)


class SoftDeletingRepository(Repository[DocumentT, IdT]):
    """A repository whose documents are marked as deleted, and can be restored."""

    async def delete(self, id: IdT) -> None:
        """Mark the document as deleted.

        Raises:
            NotFoundError: The document does not exist, or is already deleted.

        Cost: 1 round trip; index `_id`.
        """
        await self._update({"_id": id, **ALIVE}, {"$set": {"deletedAt": self._now()}})

    async def restore(self, id: IdT) -> DocumentT:
        """Restore a deleted document, and return it. A document that is not deleted stays unchanged.

        Raises:
            NotFoundError: The document does not exist.

        Cost: 1 round trip; index `_id`.
        """
        return await self._update({"_id": id}, {"$unset": {"deletedAt": ""}})

    async def get(self, id: IdT, *, include_deleted: bool = False) -> DocumentT:
        """Return the document.

        Args:
            id: The id of the document.
            include_deleted: Also return a document that is marked as deleted.

        Raises:
            NotFoundError: The document does not exist, or is deleted.

        Cost: 1 round trip; index `_id`.
        """
        return self._found(await self._visible_one({"_id": id, **({} if include_deleted else ALIVE)}), id)

    async def find(self, id: IdT, *, include_deleted: bool = False) -> DocumentT | None:
        """Return the document, or `None` if it does not exist or is deleted.

        Args:
            id: The id of the document.
            include_deleted: Also return a document that is marked as deleted.

        Cost: 1 round trip; index `_id`.
        """
        return await self._visible_one({"_id": id, **({} if include_deleted else ALIVE)})

    async def get_many(self, ids: AnyCollection[IdT], *, include_deleted: bool = False) -> dict[IdT, DocumentT]:
        """Return the documents by id. Missing and deleted documents are left out.

        Args:
            ids: The ids of the documents.
            include_deleted: Also return documents that are marked as deleted.

        Cost: 1 round trip; index `_id`.
        """
        found = await self._visible({"_id": {"$in": ids}, **({} if include_deleted else ALIVE)}, hint="_id_")
        return {document.id: document for document in found}


def not_found(document: type[Document], id: object) -> NotFoundError:
    """Return the error for a missing document."""
    return NotFoundError(f"The {document.__name__} with the id {id} does not exist, or is deleted.")


def alive(document: type[Document]) -> Mapping[str, None]:
    """Return the filter for documents that are not deleted; empty if the collection has no `deletedAt`."""
    return ALIVE if "deleted_at" in document.model_fields else {}


def lookup_alive(document: type[Document], field: str, name: str) -> dict[str, Any]:
    """Return the `$lookup` of the document that a field refers to. The array is empty if that one is deleted."""
    return {
        "from": document.Settings.name,
        "localField": field,
        "foreignField": "_id",
        "pipeline": [{"$match": ALIVE}, {"$project": {"_id": 1}}],
        "as": name,
    }


def older_than(position: Sequence[PositionValue], filter: Mapping[str, Any]) -> dict[str, Any]:
    """Extend the filter to documents after a position in the order `createdAt` descending, `_id` descending.

    This is one index range, which begins with all documents of the position's millisecond. Two branches with tight
    bounds would skip half of those, but the server accepts no hint for them, and may scan and sort instead.
    """
    created_at, id = position
    behind = [{"createdAt": {"$lt": created_at}}, {"_id": {"$lt": id}}]
    return {**filter, "createdAt": {"$lte": created_at}, "$or": behind}


def page_of(
    wires: Sequence[Mapping[str, Any]],
    limit: int,
    query: object,
    order: Sequence[str],
    load: Callable[[Sequence[Mapping[str, Any]]], list[T]],
) -> Page[T]:
    """Return a page of the first `limit` documents. One more document means that there is a next page."""
    items = load(wires[:limit])
    if len(wires) <= limit:
        return Page(items)
    last = wires[limit - 1]
    return Page(items, encode_cursor(query, [last.get(name) for name in order]))


guard_public_methods(Queries)
