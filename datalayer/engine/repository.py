"""What is the same in every repository."""

import itertools
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar

from bson import MaxKey, MinKey, ObjectId
from pymongo import ReturnDocument

from datalayer.engine.batches import at_once_or_in_batches, count_at_once_or_in_batches
from datalayer.engine.boundary import UNSET, Many, guard_public_methods
from datalayer.engine.connection import Collection, Connection, Owner
from datalayer.engine.document import Document
from datalayer.engine.errors import InvalidDefinitionError, NotFoundError
from datalayer.engine.pages import Number, Page, PositionValue, decode_cursor, encode_cursor

D = TypeVar("D", bound=Document)
I = TypeVar("I", bound=ObjectId)  # noqa: E741
Other = TypeVar("Other", bound=Document)
T = TypeVar("T")

ALIVE: Mapping[str, None] = {"deletedAt": None}
"""The filter of what is not deleted."""

AT_ONCE = 1_000_000
"""The batch size of a list that is read whole: the server's default of 101 documents costs a second round trip."""

_NUMBER_OR_NONE = Number | None

# A sort is merged from one index scan for each value of an `$in`, and the server does so for 200 scans at most.
_MERGED_VALUES = 200


@dataclass(frozen=True, slots=True)
class Children:
    """Documents that belong to another one: the field that has its id, and the index on that."""

    document: type[Document]
    field: str
    index: str


class Queries(Generic[D, I]):
    """The documents of one collection, and the queries on them: the base of `Repository` and `Extension`."""

    document: type[D]
    """The class of the documents. Where the product extends it, an open database has the product's class here."""

    belongs_to: Owner | None = None
    """What these documents are removed with, and the field that points there.

    They are not found without it: a removal of very many goes on for a while after the document that they belong to.
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

    async def get(self, id: I) -> D:
        """The document. One round trip, `_id`.

        Raises:
            NotFoundError: There is none.
        """
        return self._found(await self._visible_one({"_id": id}), id)

    async def find(self, id: I) -> D | None:
        """The document, or `None`. One round trip, `_id`."""
        return await self._visible_one({"_id": id})

    async def get_many(self, ids: Many[I]) -> dict[I, D]:
        """The documents by id, without those that are missing. One round trip, `_id`."""
        return {document.id: document for document in await self._visible({"_id": {"$in": ids}}, hint="_id_")}

    @property
    def _collection(self) -> Collection:
        return self._connection.collection(self.document)

    def _of(self, document: type[Document], *, durable: bool = False) -> Collection:
        """The collection of another table; `durable` as `Connection.collection` has it."""
        return self._connection.collection(document, durable=durable)

    def _class(self, document: type[Other]) -> type[Other]:
        """The class of another table's documents here, as `document` is for its own."""
        return self._connection.class_of(document)

    def _now(self) -> int:
        return self._connection.now()

    async def _one(self, filter: Mapping[str, Any], *, hint: str | None = None, durable: bool = False) -> D | None:
        wire = await self._of(self.document, durable=durable).find_one(filter, hint=hint)
        return None if wire is None else self.document.from_wire(wire)

    async def _all(
        self, filter: Mapping[str, Any], *, sort: Mapping[str, int] | None = None, hint: str | None = None
    ) -> list[D]:
        wires = await self._collection.find(filter, sort=sort, batch_size=AT_ONCE, hint=hint).to_list()
        return self.document.from_wires(wires)

    async def _visible_one(self, filter: Mapping[str, Any]) -> D | None:
        if self.belongs_to is None:
            return await self._one(filter)
        return next(iter(await self._visible(filter)), None)

    async def _visible(
        self, filter: Mapping[str, Any], *, sort: Mapping[str, int] | None = None, hint: str | None = None
    ) -> list[D]:
        """The documents, but not those that belong to one that is gone. One round trip."""
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

    def _found(self, document: D | None, id: I) -> D:
        if document is None:
            raise not_found(self.document, id)
        return document

    async def _insert(self, document: D) -> D:
        await self._collection.insert_one(document.to_wire())
        return document

    async def _update(self, filter: Mapping[str, Any], update: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> D:
        """Change the one document that the filter finds by its `_id`, and give it as it is then. One round trip."""
        if not update:
            return self._found(await self._one(filter, durable=True), filter["_id"])
        wire = await self._collection.find_one_and_update(filter, update, return_document=ReturnDocument.AFTER)
        return self._found(None if wire is None else self.document.from_wire(wire), filter["_id"])

    async def _update_all(
        self, filter: Mapping[str, Any], update: Mapping[str, Any] | Sequence[Mapping[str, Any]], index: str
    ) -> int:
        """Change all that the filter finds, so that it does not find them any more; return how many.

        A transaction of 2 round trips: without one the server may fail in the middle, and the driver repeats no update
        of many documents. Very many are changed in batches.

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
        self, id: I, delete: Callable[[], Awaitable[bool]], children: Sequence[Children], *, size: int | None = None
    ) -> None:
        """Remove a document with all that belongs to it.

        Where that is too much for one transaction the document goes first, and the children follow in batches. What an
        interrupted call has left of them is removed by the next one for the same id.

        Args:
            id: The document's id.
            delete: Removes the document, in a transaction; whether it was there.
            children: What belongs to it.
            size: How many children are removed in a batch.

        Raises:
            NotFoundError: There is no such document, and nothing is left of it.
            IncompleteError: The document is removed, but not everything that belongs to it.
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
        """The operators that set the fields, by their names in Python: `None` removes one, `UNSET` leaves it alone."""
        changed = {name: value for name, value in fields.items() if value is not UNSET}
        if changed.keys() <= {"updated_at", "edited_at"}:
            # The time of a change is none by itself.
            return {}
        wire = {name: self.document.model_fields[name].alias or name for name in changed}
        sets = {wire[name]: value for name, value in changed.items() if value is not None}
        unsets: dict[str, object] = {wire[name]: "" for name, value in changed.items() if value is None}
        return {operator: fields for operator, fields in (("$set", sets), ("$unset", unsets)) if fields}

    async def _require(self, document: type[Document], id: ObjectId) -> None:
        """Make sure that a document exists, and is not deleted, before something points at it. One round trip.

        Raises:
            NotFoundError: There is none, or it is deleted.
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
    ) -> Page[D]:
        """A page of the documents in the order of an index, within one value of its leading fields. One round trip.

        The filter begins with those values; what follows in it is looked at document by document. `only_if` is asked
        after the cursor was looked at: where it says no, the page is empty.
        """
        fields = [name for name, _ in self._keys_of(index)]
        prefix = {name: filter[name] for name in itertools.takewhile(lambda name: name in filter, fields)}
        order = fields[len(prefix) :]
        query = (self.document.Settings.name, index, newest_first, prefix)
        kinds = [ObjectId if name == "_id" else _NUMBER_OR_NONE for name in order]
        position = None if after is None else dict(zip(order, decode_cursor(query, after, kinds), strict=True))
        if only_if is not None and not await only_if():
            return Page([])
        # A scan's upper bound is exclusive, the lower one is not: oldest first, the item at the cursor comes again.
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
    ) -> Page[D]:
        """A page of the documents that are kept for what the lookups found, newest first; `only_if` as in `_page`.

        One round trip where at most a fifth is left out, else some more: each looks at twice as many as the one before.
        Not one aggregation with a limit at its end: the server reads 4 MB of documents ahead for what follows a scan.
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
    ) -> Page[D]:
        """A page of the documents of several owners, newest first. One round trip; a seek in an index for each owner.

        Served by the index on (`field`, `createdAt`). Inside a transaction, a round trip for each 200 owners.
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
        """What the pipelines give together. One round trip, but one for each of them inside a transaction."""
        collection = self._collection
        if len(pipelines) > 1 and not self._connection.transaction_is_open():
            # The server does not allow the stage inside a transaction.
            others = [{"$unionWith": {"coll": collection.name, "pipeline": other}} for other in pipelines[1:]]
            pipelines = [[*pipelines[0], *others]]
        cursors = [await collection.aggregate(pipeline, batchSize=AT_ONCE, hint=index) for pipeline in pipelines]
        return [wire for cursor in cursors for wire in await cursor.to_list()]


class Repository(Queries[D, I]):
    """The documents of one collection, and every query and change of them."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        connection.note_owner(self.document, self.belongs_to)

    async def delete(self, id: I) -> None:
        """Remove the document for good. One round trip, `_id`.

        Raises:
            NotFoundError: There is none.
        """
        if (await self._collection.delete_one({"_id": id})).deleted_count == 0:
            raise not_found(self.document, id)


class SoftDeletingRepository(Repository[D, I]):
    """A repository whose documents are marked as deleted, and can be restored."""

    async def delete(self, id: I) -> None:
        """Mark the document as deleted. One round trip, `_id`.

        Raises:
            NotFoundError: There is none, or it is deleted.
        """
        await self._update({"_id": id, **ALIVE}, {"$set": {"deletedAt": self._now()}})

    async def restore(self, id: I) -> D:
        """Bring a deleted document back. One round trip, `_id`.

        Raises:
            NotFoundError: There is none.
        """
        return await self._update({"_id": id}, {"$unset": {"deletedAt": ""}})

    async def get(self, id: I, *, include_deleted: bool = False) -> D:
        """The document. One round trip, `_id`.

        Raises:
            NotFoundError: There is none, or it is deleted.
        """
        return self._found(await self._visible_one({"_id": id, **({} if include_deleted else ALIVE)}), id)

    async def find(self, id: I, *, include_deleted: bool = False) -> D | None:
        """The document, or `None` where there is none or it is deleted. One round trip, `_id`."""
        return await self._visible_one({"_id": id, **({} if include_deleted else ALIVE)})

    async def get_many(self, ids: Many[I], *, include_deleted: bool = False) -> dict[I, D]:
        """The documents by id, without those that are missing or deleted. One round trip, `_id`."""
        found = await self._visible({"_id": {"$in": ids}, **({} if include_deleted else ALIVE)}, hint="_id_")
        return {document.id: document for document in found}


def not_found(document: type[Document], id: object) -> NotFoundError:
    """The error that says which document there is not."""
    return NotFoundError(f"There is no {document.__name__} with the id {id}, or it is deleted.")


def alive(document: type[Document]) -> Mapping[str, None]:
    """The filter of what is not deleted, where the table has that."""
    return ALIVE if "deleted_at" in document.model_fields else {}


def lookup_alive(document: type[Document], field: str, name: str) -> dict[str, Any]:
    """The `$lookup` of the document that a field points at, into an array that is empty where it is deleted."""
    return {
        "from": document.Settings.name,
        "localField": field,
        "foreignField": "_id",
        "pipeline": [{"$match": ALIVE}, {"$project": {"_id": 1}}],
        "as": name,
    }


def older_than(position: Sequence[PositionValue], filter: Mapping[str, Any]) -> dict[str, Any]:
    """The filter, for what comes after a position in the order `createdAt` descending, `_id` descending.

    One range for the index, which begins with what is of the position's millisecond. Two branches with tight bounds
    would leave out the half of that, but the server takes no hint for them, and may scan and sort instead.
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
    """A page of the first `limit` documents; one more tells whether there is a next page."""
    items = load(wires[:limit])
    if len(wires) <= limit:
        return Page(items)
    last = wires[limit - 1]
    return Page(items, encode_cursor(query, [last.get(name) for name in order]))


guard_public_methods(Queries)
