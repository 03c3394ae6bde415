"""mongomock's collections with the part of the driver's interface that the repositories use."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from functools import partialmethod
from itertools import product
from typing import Any, Self, cast

from bson import MaxKey, MinKey, encode
from pydantic import ValidationError
from pymongo import DeleteOne, InsertOne, ReturnDocument, UpdateOne
from pymongo.errors import BulkWriteError, DuplicateKeyError, WriteError
from pymongo.results import BulkWriteResult

from datalayer.engine.document import Document
from datalayer.engine.indexes import Index
from datalayer.engine.transactions import current_transaction
from datalayer.testing.memory import language
from datalayer.testing.memory.language import Wire, sent, unsupported
from datalayer.testing.memory.transactions import Client

Filter = Mapping[str, Any]
Order = Mapping[str, int]
Bound = Sequence[tuple[str, Any]]
"""A position in an index: its fields in their order, with values."""

_BY_ID = Index("_id_", "_id", unique=True)
_OF_REQUESTS = ("_filter", "_doc", "_upsert", "_collation", "_array_filters", "_hint", "_sort")
_DUPLICATE_KEY = 11000
_VALIDATION_FAILURE = 121


class Refusing:
    """Rejects every method that the subclass does not define."""

    def __getattr__(self, name: str) -> object:
        """Reject the attribute. For names with an underscore, raise the usual `AttributeError`."""
        if name.startswith("_"):
            raise AttributeError(name)
        raise unsupported(f"{type(self).__name__.lower()}.{name}")


class Cursor(Refusing):
    """The result of a query."""

    def __init__(self, fetch: Callable[..., Awaitable[list[Wire]]]) -> None:
        self._fetch = fetch
        self._bounds: dict[str, Bound] = {}

    def min(self, low: Bound) -> Self:
        """Begin at this position in the index."""
        self._bounds["low"] = low
        return self

    def max(self, high: Bound) -> Self:
        """End before this position in the index."""
        self._bounds["high"] = high
        return self

    async def to_list(self) -> list[Wire]:
        """All documents."""
        return await self._fetch(**self._bounds)

    async def __aiter__(self) -> AsyncIterator[Wire]:
        for wire in await self.to_list():
            yield wire


class Collection(Refusing):
    """A collection that checks every operation, and passes it to the engine, a collection of mongomock-motor.

    The result of a write is validated. If it violates a rule, the write is rolled back.
    """

    def __init__(
        self,
        document: type[Document],
        engine: Any,  # noqa: ANN401
        client: Client,
        others: Mapping[str, "Collection"],
    ) -> None:
        self.name = document.Settings.name
        self._others = others
        self._document = document
        self._engine = engine
        self._kinds = language.kinds_of(document)
        self._client = client
        self._indexes = {index.name: index for index in (_BY_ID, *document.Settings.indexes)}

    def find(
        self,
        filter: Filter | None = None,
        projection: Filter | None = None,
        *,
        sort: Order | None = None,
        limit: int = 0,
        hint: str | None = None,
        **options: object,
    ) -> Cursor:
        """Return the documents that the filter finds."""
        language.check_options(options)
        language.check_projection(projection, self._kinds)

        async def fetch(low: Bound = (), high: Bound = ()) -> list[Wire]:
            async with self._client.turn():
                query = await self._query(filter or {}, sort, hint)
                if not low and not high:
                    return await self._engine.find(**query, projection=_copy(projection), limit=limit).to_list()
                found = await self._engine.find(**query).to_list()
            if hint is None or projection is not None:
                raise unsupported("bounds without a hint, or with a projection")
            return [wire for wire in found if _is_within(wire, low, high, self._indexes[hint])][: limit or None]

        return Cursor(fetch)

    async def find_one(
        self,
        filter: Filter | None = None,
        projection: Filter | None = None,
        **options: Any,  # noqa: ANN401
    ) -> Wire | None:
        """Return the first document that the filter finds."""
        return next(iter(await self.find(filter, projection, limit=1, **options).to_list()), None)

    async def count_documents(self, filter: Filter, *, limit: int = 0, hint: str | None = None) -> int:
        """Return the number of documents that the filter finds, up to the limit."""
        return len(await self.find(filter, {"_id": 1}, limit=limit, hint=hint).to_list())

    async def aggregate(self, pipeline: Sequence[Filter], *, hint: str | None = None, **options: object) -> Cursor:
        """Return the result of the pipeline."""
        language.check_options(options)
        head, lookups = language.without_lookups(sent(pipeline))
        stages = language.checked_pipeline(head, self._kinds)
        filter: Filter = stages[0].get("$match", {}) if stages else {}
        async with self._client.turn():
            order = [{"$sort": dict(sort)} for sort in [(await self._query(filter, None, hint))["sort"]] if sort]
            # After the filter, which fixes the leading fields of the index.
            at = 1 if filter else 0
            wires = await self._engine.aggregate([*stages[:at], *order, *stages[at:]]).to_list()
            for lookup in lookups:
                for wire in wires:
                    wire[lookup["as"]] = await self._looked_up(lookup, wire)

        async def fetch() -> list[Wire]:
            return wires

        return Cursor(fetch)

    async def _looked_up(self, lookup: Wire, wire: Wire) -> list[Wire]:
        """Return what a lookup finds for a document: its pipeline, after the match of the two fields."""
        equal: list[Wire] = []
        if "localField" in lookup:
            if lookup["localField"] not in wire:
                raise unsupported("a $lookup by a field that is missing")
            equal = [{"$match": {lookup["foreignField"]: wire[lookup["localField"]]}}]
        other = self._others.get(lookup["from"])
        if other is None:
            raise unsupported(f"a $lookup in {lookup['from']}, which no document declares")
        return await (await other.aggregate([*equal, *lookup["pipeline"]])).to_list()

    async def insert_one(self, document: Wire, **options: object) -> Any:  # noqa: ANN401
        """Insert a document."""
        language.check_options(options)
        return await self._write(lambda: self._engine.insert_one(document), [document])

    async def insert_many(self, documents: Sequence[Wire], **options: object) -> Any:  # noqa: ANN401
        """Insert documents."""
        language.check_options(options)
        return await self._write(lambda: self._engine.insert_many(documents), documents, many=True)

    async def find_one_and_update(
        self,
        filter: Filter,
        update: Wire,
        projection: Filter | None = None,
        *,
        return_document: bool = ReturnDocument.BEFORE,
        **options: Any,  # noqa: ANN401
    ) -> Wire | None:
        """Update the first document that the filter finds, and return it as it was before or after the update."""
        language.check_projection(projection, self._kinds, needs_id=True)
        arguments = {"projection": _copy(projection), "return_document": return_document}
        return await self._modify("find_one_and_update", filter, update, arguments, **options)

    async def find_one_and_delete(
        self,
        filter: Filter,
        projection: Filter | None = None,
        **options: Any,  # noqa: ANN401
    ) -> Wire | None:
        """Delete the first document that the filter finds, and return it."""
        language.check_projection(projection, self._kinds, needs_id=True)
        return await self._modify("find_one_and_delete", filter, None, {"projection": _copy(projection)}, **options)

    async def bulk_write(self, requests: Sequence[Any], **options: object) -> BulkWriteResult:
        """Run inserts, updates and deletes one after another."""
        language.check_options(options)
        inserted = [cast("Any", request)._doc for request in requests if isinstance(request, InsertOne)]  # noqa: SLF001
        writes = [self._requested(request) for request in requests]
        counts = dict.fromkeys(("nInserted", "nMatched", "nModified", "nUpserted", "nRemoved"), 0)

        async def write_all() -> BulkWriteResult:
            for write in writes:
                result = await write()
                counts["nMatched"] += getattr(result, "matched_count", 0)
                counts["nModified"] += getattr(result, "modified_count", 0)
                counts["nUpserted"] += getattr(result, "upserted_id", None) is not None
                counts["nRemoved"] += getattr(result, "deleted_count", 0)
            return BulkWriteResult(counts | {"nInserted": len(inserted)}, acknowledged=True)

        return await self._write(write_all, inserted, many=True)

    def _requested(self, request: Any) -> Callable[[], Awaitable[Any]]:  # noqa: ANN401
        """Translate a request for the engine; mongomock's own translation no longer fits the driver's requests."""
        given: dict[str, Any] = {name: getattr(request, name, None) for name in _OF_REQUESTS}
        filter, document, upsert = (given.pop(name) for name in ("_filter", "_doc", "_upsert"))
        language.check_options(given)
        if isinstance(request, InsertOne):
            return lambda: self._engine.insert_one(document)
        language.check_filter(sent(filter), self._kinds)
        if isinstance(request, DeleteOne):
            return lambda: self._engine.delete_one(sent(filter))
        if not isinstance(request, UpdateOne):
            raise unsupported(f"{type(request).__name__} in a bulk write")
        language.check_update(sent(document), self._kinds, filter if upsert else None)
        return lambda: self._engine.update_one(sent(filter), sent(document), upsert=bool(upsert))

    async def _modify(
        self,
        method: str,
        filter: Filter,
        update: Wire | None = None,
        arguments: Mapping[str, Any] | None = None,
        *,
        sort: Order | None = None,
        hint: str | None = None,
        upsert: bool = False,
        **options: object,
    ) -> Any:  # noqa: ANN401
        """Let the engine update or delete the first document that the filter finds, in the order of a find."""
        language.check_options(options)
        update = sent(update)
        if update is not None:
            language.check_update(update, self._kinds, filter if upsert else None)
            arguments = {**(arguments or {}), "update": update, "upsert": upsert}
        async with self._client.turn():
            query = await self._query(filter, sort, hint)
            many = method.endswith("many")
            first = None if many else await self._engine.find_one(**query, projection={"_id": 1})
            return await self._write(
                lambda: getattr(self._engine, method)(first or query["filter"], **(arguments or {})), many=many
            )

    update_one = partialmethod(_modify, "update_one")
    update_many = partialmethod(_modify, "update_many")
    delete_one = partialmethod(_modify, "delete_one")
    delete_many = partialmethod(_modify, "delete_many")

    async def _query(self, filter: Filter, sort: Order | None, hint: str | None) -> dict[str, Any]:
        """Return the checked filter with the requested order, followed by the order of the index that is used."""
        filter = sent(filter)
        language.check_filter(filter, self._kinds)
        if hint is not None and hint not in self._indexes:
            raise unsupported(f"the hint {hint}: there is no such index")
        index = self._indexes[hint or "_id_"]
        if index.where and await self._engine.count_documents({**filter, "$nor": [index.where]}):
            raise unsupported(f"the hint {hint} for documents that are not in that index")
        keys = index.keys if hint or "_id" in filter else ()
        given = {name for name, value in filter.items() if not language.is_operators(value)}
        order = {**(sort or {}), **{name: way for name, way in keys if name not in {*given, *(sort or {})}}}
        language.check_order(order, self._kinds)
        return {"filter": filter, "sort": [*order.items()] or None}

    async def _write(
        self, change: Callable[[], Awaitable[Any]], inserted: Sequence[Wire] = (), *, many: bool = False
    ) -> Any:  # noqa: ANN401
        """Let the engine change documents, and roll that back if it violates a rule."""
        async with self._client.turn():
            before = {wire["_id"]: wire for wire in await self._engine.find().to_list()}
            transaction = current_transaction()
            try:
                self._check_new(inserted, before)
                result = await change()
                after = {wire["_id"]: wire for wire in await self._engine.find().to_list()}
                for id, wire in after.items():
                    # Compare the stored forms: in Python, `True` equals 1 and 1.0.
                    if id not in before or encode(before[id]) != encode(wire):
                        self._validate(sent(wire))
                await self._refuse_duplicates()
            except BaseException as error:
                if transaction is not None:
                    transaction.fail(error)
                await self.restore([*before.values()])
                if many and isinstance(error, WriteError):
                    if not self._client.in_transaction:
                        raise unsupported("a write of many documents that breaks a rule: some stay written") from error
                    raise BulkWriteError({"writeErrors": [error.details]}) from error
                raise
            self._client.wrote(self, [*before.values()])
            if transaction is not None and _without_locks(before) != _without_locks(after):
                transaction.wrote()
            return result

    def _check_new(self, wires: Sequence[Wire], there: Mapping[Any, Wire]) -> None:
        for wire in wires:
            self._validate(sent(wire))
            if wire.get("_id") in there:
                raise self._duplicate(_BY_ID, wire)

    async def restore(self, wires: Sequence[Wire]) -> None:
        """Replace all documents with these."""
        await self._engine.delete_many({})
        if wires:
            await self._engine.insert_many(wires)

    def _validate(self, wire: Wire) -> None:
        """Validate the document by its class, but do not accept a null for a missing field."""
        field: object = ""
        try:
            if self._document.model_validate(wire).to_wire() == wire:
                return
        except ValidationError as error:
            field = error.errors()[0]["loc"][0]
        rule = {"operatorName": "properties", "propertiesNotSatisfied": [{"propertyName": field}]}
        details = {"code": _VALIDATION_FAILURE, "errInfo": {"details": {"schemaRulesNotSatisfied": [rule]}}}
        raise WriteError("Document failed validation", _VALIDATION_FAILURE, details)

    async def _refuse_duplicates(self) -> None:
        for index in (index for index in self._indexes.values() if index.unique):
            seen: set[object] = set()
            for wire in await self._engine.find(index.where or {}).to_list():
                values: list[Any] = [language.value_at(wire, name) for name in index.fields]
                # An array has one key per item.
                keys = set(
                    product(*[cast("list[Any]", value) if isinstance(value, list) else [value] for value in values])
                )
                if not seen.isdisjoint(keys):
                    raise self._duplicate(index, wire)
                seen |= keys

    def _duplicate(self, index: Index, wire: Wire) -> DuplicateKeyError:
        """Return the server's error for a second document with the same key in the index."""
        key = {name: language.value_at(wire, name) for name in index.fields}
        message = f"E11000 duplicate key error collection: {self.name} index: {index.name} dup key: {key}"
        details = {"code": _DUPLICATE_KEY, "errmsg": message, "keyPattern": dict(index.keys), "keyValue": key}
        return DuplicateKeyError(message, _DUPLICATE_KEY, details)


def _copy(projection: Filter | None) -> Wire | None:
    # mongomock modifies the projection.
    return dict(projection) if projection else None


def _without_locks(wires: Mapping[Any, Wire]) -> dict[Any, Wire]:
    """Return the documents without the field that only locks them."""
    return {id: {name: value for name, value in wire.items() if name != "revision"} for id, wire in wires.items()}


def _is_within(wire: Wire, low: Bound, high: Bound, index: Index) -> bool:
    """Return whether the document lies between two positions in the index: `low` inclusive, `high` exclusive."""
    return not (low and _is_before(wire, low, index)) and not (high and not _is_before(wire, high, index))


def _is_before(wire: Wire, bound: Bound, index: Index) -> bool:
    for (name, value), key in zip(bound, index.keys, strict=True):
        if name != key[0]:
            raise unsupported("bounds of other fields than the index has")
        here, there = _order_of(wire.get(name)), _order_of(value)
        if here != there and not isinstance(wire.get(name), list):
            return (here < there) == (key[1] > 0)
    return False


def _order_of(value: object) -> tuple[int, Any]:
    """Return a sort key for the values of a field, including `MinKey` and `MaxKey`."""
    ranks: Mapping[type, int] = {MinKey: 0, type(None): 1, MaxKey: 3}
    return (ranks[type(value)], None) if type(value) in ranks else (2, value)
