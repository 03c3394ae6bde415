"""mongomock's collections with the part of the driver's interface that the repositories use."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any, Self

from bson import MaxKey, MinKey, ObjectId
from pydantic import ValidationError
from pymongo import DeleteOne, InsertOne, ReturnDocument, UpdateOne
from pymongo.errors import BulkWriteError, DuplicateKeyError, WriteError
from pymongo.results import BulkWriteResult, DeleteResult, InsertManyResult, InsertOneResult, UpdateResult

from datalayer.documents.base import Document
from datalayer.documents.indexes import Index
from datalayer.testing.memory.language import (
    Catalog,
    Wire,
    check_filter,
    check_options,
    check_order,
    check_projection,
    check_update,
    check_upsert,
    checked_pipeline,
    is_operators,
    require_scalar,
    sent,
    unsupported,
)
from datalayer.testing.memory.transactions import Client

Filter = Mapping[str, Any]
Order = Mapping[str, int]
Bound = Sequence[tuple[str, Any]]
"""A position in an index: its fields in their order, with values."""

_BY_ID = Index("_id_", "_id", unique=True)
_DUPLICATE_KEY = 11000
_VALIDATION_FAILURE = 121


class Refusing:
    """Refuses every method that its subclasses do not have."""

    def __getattr__(self, name: str) -> object:
        """Refuse it; what begins with an underscore is Python's own matter."""
        if name.startswith("_"):
            raise AttributeError(name)
        raise unsupported(f"{type(self).__name__.lower()}.{name}")


class Cursor(Refusing):
    """What a query gives."""

    def __init__(self, fetch: Callable[[Bound | None, Bound | None], Awaitable[list[Wire]]]) -> None:
        self._fetch = fetch
        self._low: Bound | None = None
        self._high: Bound | None = None

    def min(self, bound: Bound) -> Self:
        """Begin at this position of the index."""
        self._low = bound
        return self

    def max(self, bound: Bound) -> Self:
        """End before this position of the index."""
        self._high = bound
        return self

    async def to_list(self) -> list[Wire]:
        """All documents."""
        return await self._fetch(self._low, self._high)

    async def __aiter__(self) -> AsyncIterator[Wire]:
        for wire in await self.to_list():
            yield wire


class Collection(Refusing):
    """A collection: what is asked of it is checked, and then done by the engine.

    A write of many documents is a write of one after the other, in the order of the hint. Each of them is checked when
    it is done, and undone where it breaks a rule.

    Args:
        document: The class of its documents.
        engine: The collection of mongomock-motor.
        catalog: What the documents of all collections are made of.
        client: Who reads and writes it.
    """

    def __init__(self, document: type[Document], engine: Any, catalog: Catalog, client: Client) -> None:  # noqa: ANN401
        self.name = document.Settings.name
        self._document = document
        self._engine = engine
        self._catalog = catalog
        self._kinds = catalog[self.name]
        self._client = client
        self._indexes = {index.name: index for index in (_BY_ID, *document.Settings.indexes)}

    def find(
        self,
        filter: Filter | None = None,
        projection: Mapping[str, int] | None = None,
        *,
        sort: Order | None = None,
        limit: int = 0,
        hint: str | None = None,
        **options: object,
    ) -> Cursor:
        """The documents that the filter finds."""
        check_options(options, "find")
        check_projection(projection, self._kinds)

        async def fetch(low: Bound | None, high: Bound | None) -> list[Wire]:
            async with self._client.turn():
                if low is None and high is None:
                    return await self._found(filter or {}, projection, sort=sort, hint=hint, limit=limit)
                if hint is None or projection is not None:
                    raise unsupported("bounds without a hint, or with a projection")
                found = await self._found(filter or {}, sort=sort, hint=hint)
                return self._within(found, self._index(hint), low, high)[: limit or None]

        return Cursor(fetch)

    async def find_one(
        self, filter: Filter | None = None, projection: Mapping[str, int] | None = None, **options: Any
    ) -> Wire | None:
        """The first document that the filter finds."""
        return next(iter(await self.find(filter, projection, limit=1, **options).to_list()), None)

    async def count_documents(self, filter: Filter, *, limit: int = 0, hint: str | None = None) -> int:
        """How many documents the filter finds, up to the limit."""
        return len(await self.find(filter, {"_id": 1}, limit=limit, hint=hint).to_list())

    async def aggregate(
        self, pipeline: Sequence[Mapping[str, Any]], *, hint: str | None = None, **options: object
    ) -> Cursor:
        """What the pipeline gives."""
        check_options(options, "aggregate")
        stages = checked_pipeline(sent(pipeline), self._kinds, self._catalog)
        filter: Filter = stages[0].get("$match", {}) if stages else {}
        async with self._client.turn():
            if order := await self._order(filter, {}, hint):
                # Behind the filter, which tells what of the order is given.
                stages.insert(1 if filter else 0, {"$sort": order})
            wires = await self._engine.aggregate(stages).to_list()

        async def fetch(_low: Bound | None, _high: Bound | None) -> list[Wire]:
            return wires

        return Cursor(fetch)

    async def insert_one(self, document: Wire, **options: object) -> InsertOneResult:
        """Insert a document."""
        check_options(options, "insert_one")
        async with self._client.turn():
            await self._insert(document)
        return InsertOneResult(document["_id"], acknowledged=True)

    async def insert_many(
        self, documents: Sequence[Wire], *, ordered: bool = True, **options: object
    ) -> InsertManyResult:
        """Insert documents."""
        await self.bulk_write([InsertOne(document) for document in documents], ordered=ordered, **options)
        return InsertManyResult([document["_id"] for document in documents], acknowledged=True)

    async def update_one(self, filter: Filter, update: Any, **options: Any) -> UpdateResult:  # noqa: ANN401
        """Change the first document that the filter finds."""
        async with self._client.turn():
            return await self._update(filter, update, limit=1, **options)

    async def update_many(self, filter: Filter, update: Any, **options: Any) -> UpdateResult:  # noqa: ANN401
        """Change all documents that the filter finds."""
        async with self._client.turn():
            return await self._update(filter, update, **options)

    async def delete_one(self, filter: Filter, **options: Any) -> DeleteResult:
        """Delete the first document that the filter finds."""
        async with self._client.turn():
            return await self._delete(filter, limit=1, **options)

    async def delete_many(self, filter: Filter, **options: Any) -> DeleteResult:
        """Delete all documents that the filter finds."""
        async with self._client.turn():
            return await self._delete(filter, **options)

    async def find_one_and_update(
        self,
        filter: Filter,
        update: Any,  # noqa: ANN401
        projection: Mapping[str, int] | None = None,
        *,
        sort: Order | None = None,
        return_document: bool = ReturnDocument.BEFORE,
        hint: str | None = None,
        **options: Any,
    ) -> Wire | None:
        """Change the first document that the filter finds, and give it as it was, or as it is then."""
        check_projection(projection, self._kinds)
        async with self._client.turn():
            found = await self._found(filter, projection, sort=sort, hint=hint, limit=1)
            before = await self._found(filter, {"_id": 1}, sort=sort, hint=hint, limit=1)
            if before:
                filter = before[0]
            upserted = (await self._update(filter, update, limit=1, **options)).upserted_id
            if return_document is ReturnDocument.AFTER and (before or upserted):
                found = await self._found({"_id": upserted or filter["_id"]}, projection)
        return next(iter(found), None)

    async def find_one_and_delete(
        self, filter: Filter, projection: Mapping[str, int] | None = None, **options: Any
    ) -> Wire | None:
        """Delete the first document that the filter finds, and give it."""
        check_projection(projection, self._kinds)
        async with self._client.turn():
            found = await self._found(filter, projection, limit=1, **options)
            await self._delete(filter, limit=1, **options)
        return next(iter(found), None)

    async def bulk_write(self, requests: Sequence[Any], *, ordered: bool = True, **options: object) -> BulkWriteResult:
        """Insert, update and delete one document after the other."""
        check_options(options, "bulk_write")
        counts = {"nInserted": 0, "nMatched": 0, "nModified": 0, "nUpserted": 0, "nRemoved": 0}
        errors: list[Mapping[str, Any]] = []
        async with self._client.turn():
            writes = [self._requested(request) for request in requests]
            for write in writes:
                try:
                    for name, count in (await write()).items():
                        counts[name] += count
                except WriteError as error:
                    errors.append(error.details or {})
                    if ordered:
                        break
        if errors:
            raise BulkWriteError({**counts, "writeErrors": errors})
        return BulkWriteResult(dict(counts), acknowledged=True)

    async def _found(
        self,
        filter: Filter,
        projection: Mapping[str, int] | None = None,
        *,
        sort: Order | None = None,
        limit: int = 0,
        hint: str | None = None,
        **options: object,
    ) -> list[Wire]:
        check_options(options, "find")
        filter = sent(filter)
        check_filter(filter, self._kinds)
        order = await self._order(filter, sort or {}, hint)
        shown = None if projection is None else dict(projection)
        return await self._engine.find(filter, shown, sort=[*order.items()] or None, limit=limit).to_list()

    async def _order(self, filter: Filter, sort: Order, hint: str | None) -> Order:
        """The order asked for, and then that of the index, where its fields are not given."""
        index = _BY_ID if hint is None and "_id" in filter else None if hint is None else self._index(hint)
        if index is None:
            order = sort
        else:
            if index.where and await self._engine.count_documents({**filter, "$nor": [index.where]}):
                raise unsupported(f"the hint {index.name} for documents that are not in that index")
            given = {name for name, value in filter.items() if not is_operators(value)}
            order = {**sort, **{name: way for name, way in index.keys if name not in given and name not in sort}}
        check_order(order, self._kinds)
        return order

    def _index(self, name: str) -> Index:
        if name not in self._indexes:
            raise unsupported(f"the hint {name}: there is no such index")
        return self._indexes[name]

    def _within(self, wires: list[Wire], index: Index, low: Bound | None, high: Bound | None) -> list[Wire]:
        """Those of the documents that lie between two positions in the index: `low` inclusive, `high` exclusive."""
        for bound in (low, high):
            if bound is not None and [name for name, _ in bound] != [name for name, _ in index.keys]:
                raise unsupported("bounds of other fields than the index has")
        return [
            wire
            for wire in wires
            if not (low and _is_before(wire, low, index)) and not (high and not _is_before(wire, high, index))
        ]

    async def _insert(self, document: Wire) -> Mapping[str, int]:
        document.setdefault("_id", ObjectId())
        wire = sent(document)
        self._validate(wire)
        if await self._engine.count_documents({"_id": wire["_id"]}):
            raise self._duplicate(_BY_ID, wire["_id"])
        await self._change(wire["_id"], None, self._engine.insert_one(wire))
        return {"nInserted": 1}

    async def _update(
        self,
        filter: Filter,
        update: Any,  # noqa: ANN401
        *,
        upsert: bool = False,
        limit: int = 0,
        hint: str | None = None,
        **options: object,
    ) -> UpdateResult:
        check_options(options, "update")
        update = sent(update)
        check_update(update, self._kinds)
        if upsert:
            check_upsert(filter)
        found, modified, upserted = await self._found(filter, hint=hint, limit=limit), 0, None
        for before in found:
            id = {"_id": before["_id"]}
            modified += (await self._change(before["_id"], before, self._engine.update_one(id, update))).modified_count
        if upsert and not found:
            # It gets its id here, so that it is known whom to remove where a rule is broken.
            upserted = update.get("$setOnInsert", {}).get("_id", filter.get("_id", ObjectId()))
            made = self._engine.update_one({**sent(filter), "_id": upserted}, update, upsert=True)
            await self._change(upserted, None, made)
        result = {"n": len(found), "nModified": modified, "upserted": upserted}
        return UpdateResult(result, acknowledged=True)

    async def _delete(
        self, filter: Filter, *, limit: int = 0, hint: str | None = None, **options: object
    ) -> DeleteResult:
        check_options(options, "delete")
        found = await self._found(filter, hint=hint, limit=limit)
        for before in found:
            await self._change(before["_id"], before, self._engine.delete_one({"_id": before["_id"]}))
        return DeleteResult({"n": len(found)}, acknowledged=True)

    def _requested(self, request: Any) -> Callable[[], Awaitable[Mapping[str, int]]]:
        """What a request of a bulk write asks for; checked, so that nothing is written where one is refused."""

        async def update() -> Mapping[str, int]:
            result = await self._update(filter, changes, upsert=bool(upsert), limit=1)
            added = {"nUpserted": int(result.upserted_id is not None)}
            return {"nMatched": result.matched_count, "nModified": result.modified_count, **added}

        async def delete() -> Mapping[str, int]:
            return {"nRemoved": (await self._delete(filter, limit=1)).deleted_count}

        match request:
            case InsertOne(_doc=dict() as document):
                return lambda: self._insert(document)
            case UpdateOne(_filter=filter, _doc=changes, _upsert=upsert, _collation=None, _hint=None, _sort=None):
                check_filter(sent(filter), self._kinds)
                check_update(sent(changes), self._kinds)
                return update
            case DeleteOne(_filter=filter, _collation=None, _hint=None):
                check_filter(sent(filter), self._kinds)
                return delete
            case _:
                raise unsupported(f"{request!r} in a bulk write")

    async def _change(self, id: ObjectId, before: Wire | None, change: Awaitable[Any]) -> Any:  # noqa: ANN401
        """Let the engine change one document, and take it back where that breaks a rule."""
        try:
            result = await change
            after = await self._engine.find_one({"_id": id})
            if after is not None:
                self._validate(after)
                await self._refuse_duplicates(id)
        except BaseException:
            await self._put(id, before)
            raise
        self._client.wrote(lambda: self._put(id, before))
        return result

    async def _put(self, id: ObjectId, before: Wire | None) -> None:
        """Let a document be as it was."""
        if before is None:
            await self._engine.delete_one({"_id": id})
        else:
            await self._engine.replace_one({"_id": id}, before, upsert=True)

    async def _refuse_duplicates(self, id: ObjectId) -> None:
        for index in self._indexes.values():
            inside = {"$and": [{"_id": id}, index.where or {}]}
            if not index.unique or not (wire := await self._engine.find_one(inside)):
                continue
            key: Wire = {}
            for name, _ in index.keys:
                require_scalar(self._kinds, name, "a unique index")
                key[name] = _value_at(wire, name)
            if await self._engine.count_documents({"$and": [key, index.where or {}]}) > 1:
                raise self._duplicate(index, *key.values())

    def _duplicate(self, index: Index, *values: object) -> DuplicateKeyError:
        """The error of the server for a second document with the key in the index."""
        key = dict(zip(index.fields, values, strict=True))
        message = f"E11000 duplicate key error collection: {self.name} index: {index.name} dup key: {key}"
        details = {"code": _DUPLICATE_KEY, "errmsg": message, "keyPattern": dict(index.keys), "keyValue": key}
        return DuplicateKeyError(message, _DUPLICATE_KEY, details)

    def _validate(self, wire: Wire) -> None:
        """Let the class decide, and not let it take a null for what is missing."""
        field: object = ""
        try:
            if self._document.model_validate(wire).to_wire() == wire:
                return
        except ValidationError as error:
            field = error.errors()[0]["loc"][0]
        rule = {"operatorName": "properties", "propertiesNotSatisfied": [{"propertyName": field}]}
        details = {"code": _VALIDATION_FAILURE, "errInfo": {"details": {"schemaRulesNotSatisfied": [rule]}}}
        raise WriteError("Document failed validation", _VALIDATION_FAILURE, details)


def _is_before(wire: Wire, bound: Bound, index: Index) -> bool:
    """Whether the document comes before the position."""
    for (name, value), (_, direction) in zip(bound, index.keys, strict=True):
        here, there = _order_of(wire.get(name)), _order_of(value)
        if here != there and not isinstance(wire.get(name), list):
            return (here < there) == (direction > 0)
    return False


def _order_of(value: object) -> tuple[int, Any]:
    """Makes the values of one field comparable with each other, and with what is before and behind all of them."""
    match value:
        case MinKey():
            return 0, None
        case None:
            return 1, None
        case MaxKey():
            return 3, None
        case _:
            return 2, value


def _value_at(value: Any, path: str) -> Any:  # noqa: ANN401
    """What is at a path; the number of an array's item may be its end."""
    for name in path.split("."):
        if value is None:
            return None
        value = value[int(name)] if name.isdigit() else value.get(name)
    return value
