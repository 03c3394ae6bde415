"""Collections with the part of the driver's interface that the repositories use, and not a letter more."""

import functools
import inspect
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any, Never, ParamSpec, Self, TypeVar

from bson import ObjectId
from pymongo import ReturnDocument
from pymongo.errors import BulkWriteError, WriteError
from pymongo.results import BulkWriteResult, DeleteResult, InsertManyResult, InsertOneResult, UpdateResult

from datalayer.testing.memory.filters import equalities
from datalayer.testing.memory.indexes import Bound, sorted_by, within
from datalayer.testing.memory.pipelines import Sources, Stages, projected, read
from datalayer.testing.memory.tables import Table
from datalayer.testing.memory.updates import Update, updated
from datalayer.testing.memory.values import Wire, order_of, sent, unsupported

P = ParamSpec("P")
T = TypeVar("T")

Filter = Mapping[str, Any]
Sort = Mapping[str, int]

_Counts = Mapping[str, int]
_Write = Callable[[], _Counts]

_WITHOUT_EFFECT = {"batch_size", "batchSize", "comment"}
"""Options that change nothing of the result."""


def _check(options: Mapping[str, object], method: str) -> None:
    for name, value in options.items():
        if name not in _WITHOUT_EFFECT and value is not None:
            raise unsupported(f"the option {name} of {method}")


def _without_other_options(method: Callable[P, T]) -> Callable[P, T]:
    """Refuse the options that the method does not name, but for those that change nothing."""
    named = inspect.signature(method).parameters

    @functools.wraps(method)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        others = {name: kwargs.pop(name) for name in [*kwargs] if name not in named}
        _check(others, method.__name__)
        return method(*args, **kwargs)

    return call


class Unknown:
    """Refuses every method that its subclasses do not have."""

    def __getattr__(self, name: str) -> object:
        """Refuse it; what begins with an underscore is Python's own matter."""
        if name.startswith("_"):
            raise AttributeError(name)
        raise unsupported(f"{type(self).__name__.lower()}.{name}")


class Cursor(Unknown):
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


class Collection(Unknown):
    """A collection."""

    def __init__(self, table: Table, sources: Sources) -> None:
        self.name = table.name
        self._table = table
        self._sources = sources

    @_without_other_options
    def find(
        self,
        filter: Filter | None = None,
        projection: Mapping[str, int] | None = None,
        *,
        sort: Sort | None = None,
        limit: int = 0,
        hint: str | None = None,
    ) -> Cursor:
        """The documents that the filter finds."""
        if limit < 0:
            raise unsupported("a negative limit")

        async def fetch(low: Bound | None, high: Bound | None) -> list[Wire]:
            async with self._table.client.turn():
                wires = self._found(sent(filter or {}), sort=sort, hint=hint, low=low, high=high)
            return [_projected(wire, projection) for wire in wires[: limit or None]]

        return Cursor(fetch)

    @_without_other_options
    async def find_one(
        self,
        filter: Filter | None = None,
        projection: Mapping[str, int] | None = None,
        *,
        sort: Sort | None = None,
        hint: str | None = None,
    ) -> Wire | None:
        """The first document that the filter finds."""
        return next(iter(await self.find(filter, projection, sort=sort, limit=1, hint=hint).to_list()), None)

    @_without_other_options
    async def count_documents(self, filter: Filter, *, limit: int = 0, hint: str | None = None) -> int:
        """How many documents the filter finds, up to the limit."""
        return len(await self.find(filter, limit=limit, hint=hint).to_list())

    @_without_other_options
    async def aggregate(self, pipeline: Stages, *, hint: str | None = None) -> Cursor:
        """What the pipeline gives."""
        async with self._table.client.turn():
            wires = read(self._table, sent(pipeline), self._sources, {}, hint=hint)

        async def fetch(_low: Bound | None, _high: Bound | None) -> list[Wire]:
            return wires

        return Cursor(fetch)

    @_without_other_options
    async def insert_one(self, document: Wire) -> InsertOneResult:
        """Insert a document."""
        async with self._table.client.turn():
            self._insert(document)
        return InsertOneResult(document["_id"], acknowledged=True)

    @_without_other_options
    async def insert_many(self, documents: Sequence[Wire], *, ordered: bool = True) -> InsertManyResult:
        """Insert documents."""
        await self._write_all([partial(self._insert, document) for document in documents], ordered=ordered)
        return InsertManyResult([document["_id"] for document in documents], acknowledged=True)

    @_without_other_options
    async def update_one(
        self, filter: Filter, update: Update, *, upsert: bool = False, hint: str | None = None
    ) -> UpdateResult:
        """Change the first document that the filter finds."""
        async with self._table.client.turn():
            counts = self._update(filter, update, upsert=upsert, hint=hint, limit=1)
        return UpdateResult({"n": counts["nMatched"], **counts}, acknowledged=True)

    @_without_other_options
    async def update_many(self, filter: Filter, update: Update, *, hint: str | None = None) -> UpdateResult:
        """Change all documents that the filter finds, in the order of the hint."""
        async with self._table.client.turn():
            counts = self._update(filter, update, hint=hint)
        return UpdateResult({"n": counts["nMatched"], **counts}, acknowledged=True)

    @_without_other_options
    async def delete_one(self, filter: Filter, *, hint: str | None = None) -> DeleteResult:
        """Delete the first document that the filter finds."""
        async with self._table.client.turn():
            counts = self._delete(filter, hint=hint, limit=1)
        return DeleteResult({"n": counts["nRemoved"]}, acknowledged=True)

    @_without_other_options
    async def delete_many(self, filter: Filter, *, hint: str | None = None) -> DeleteResult:
        """Delete all documents that the filter finds."""
        async with self._table.client.turn():
            counts = self._delete(filter, hint=hint)
        return DeleteResult({"n": counts["nRemoved"]}, acknowledged=True)

    @_without_other_options
    async def find_one_and_update(
        self,
        filter: Filter,
        update: Update,
        projection: Mapping[str, int] | None = None,
        *,
        sort: Sort | None = None,
        upsert: bool = False,
        return_document: bool = ReturnDocument.BEFORE,
        hint: str | None = None,
    ) -> Wire | None:
        """Change the first document that the filter finds, and give it as it was, or as it is then."""
        async with self._table.client.turn():
            filter = sent(filter)
            before = next(iter(self._found(filter, sort=sort, hint=hint)), None)
            if before is None and not upsert:
                return None
            after = _upserted(filter, sent(update)) if before is None else updated(before, sent(update))
            self._table.write(before, after)
        wire = after if return_document is ReturnDocument.AFTER else before
        return None if wire is None else _projected(wire, projection)

    @_without_other_options
    async def find_one_and_delete(
        self, filter: Filter, projection: Mapping[str, int] | None = None, *, hint: str | None = None
    ) -> Wire | None:
        """Delete the first document that the filter finds, and give it."""
        async with self._table.client.turn():
            wire = next(iter(self._found(sent(filter), hint=hint)), None)
            if wire is not None:
                self._table.write(wire, None)
        return None if wire is None else _projected(wire, projection)

    @_without_other_options
    async def bulk_write(self, requests: Sequence[Any], *, ordered: bool = True) -> BulkWriteResult:
        """Insert, update and delete one document after the other."""
        bulk = _Bulk(self._insert, self._update, self._delete)
        for request in requests:
            request._add_to_bulk(bulk)  # noqa: SLF001 - the driver's own way of reading a request
        return BulkWriteResult(dict(await self._write_all(bulk.writes, ordered=ordered)), acknowledged=True)

    def _found(
        self,
        filter: Filter,
        *,
        sort: Sort | None = None,
        hint: str | None = None,
        low: Bound | None = None,
        high: Bound | None = None,
    ) -> list[Wire]:
        wires = self._table.find(filter, hint)
        if low or high:
            if hint is None:
                raise unsupported("bounds without a hint")
            wires = within(wires, self._table.indexes.named(hint), low, high, filter)
        return sorted_by(wires, sort or {})

    def _insert(self, document: Wire) -> _Counts:
        document.setdefault("_id", ObjectId())
        self._table.write(None, document)
        return {"nInserted": 1}

    def _update(
        self, filter: Filter, update: Update, *, upsert: bool = False, hint: str | None = None, limit: int | None = None
    ) -> _Counts:
        filter, update, modified = sent(filter), sent(update), 0
        found = (self._found(filter, hint=hint))[:limit]
        for before in found:
            after = updated(before, update)
            if order_of(after) != order_of(before):
                self._table.write(before, after)
                modified += 1
        if upsert and not found:
            self._table.write(None, _upserted(filter, update))
            return {"nMatched": 0, "nModified": 0, "nUpserted": 1}
        return {"nMatched": len(found), "nModified": modified}

    def _delete(self, filter: Filter, *, hint: str | None = None, limit: int | None = None) -> _Counts:
        found = (self._found(sent(filter), hint=hint))[:limit]
        for wire in found:
            self._table.write(wire, None)
        return {"nRemoved": len(found)}

    async def _write_all(self, writes: Sequence[_Write], *, ordered: bool) -> _Counts:
        counts, errors = Counter[str](), list[Mapping[str, Any]]()
        async with self._table.client.turn():
            for write in writes:
                try:
                    counts.update(write())
                except WriteError as error:
                    errors.append(error.details or {})
                    if ordered:
                        break
        if errors:
            raise BulkWriteError({**counts, "writeErrors": errors})
        return counts


class _Bulk:
    """What the driver's requests tell of themselves."""

    def __init__(
        self,
        insert: Callable[[Wire], _Counts],
        update: Callable[..., _Counts],
        delete: Callable[..., _Counts],
    ) -> None:
        self.writes: list[_Write] = []
        self._insert, self._update, self._delete = insert, update, delete

    def add_insert(self, document: Wire) -> None:
        """An `InsertOne`."""
        self.writes.append(partial(self._insert, document))

    def add_update(
        self, filter: Filter, update: Update, multi: bool, upsert: bool | None, *, hint: str | None, **options: object
    ) -> None:
        """An `UpdateOne` or an `UpdateMany`."""
        _check(options, "bulk_write")
        limit = None if multi else 1
        self.writes.append(partial(self._update, filter, update, upsert=bool(upsert), hint=hint, limit=limit))

    def add_delete(self, filter: Filter, limit: int, *, hint: str | None, **options: object) -> None:
        """A `DeleteOne` or a `DeleteMany`."""
        _check(options, "bulk_write")
        self.writes.append(partial(self._delete, filter, hint=hint, limit=limit or None))

    def add_replace(self, *_args: object, **_options: object) -> Never:
        """A `ReplaceOne`."""
        raise unsupported("ReplaceOne")


def _projected(wire: Wire, projection: Mapping[str, int] | None) -> Wire:
    if not projection:
        return wire
    if any(value not in (0, 1) or (value == 0 and name != "_id") for name, value in projection.items()):
        raise unsupported(f"the projection {projection}")
    return projected(wire, projection, {})


def _upserted(filter: Filter, update: Update) -> Wire:
    """The document that an update makes where its filter finds none."""
    given = equalities(filter)
    if not isinstance(update, Mapping) or given.keys() != filter.keys() or any("." in name for name in given):
        raise unsupported("an upsert by more than equal fields")
    wire = updated(dict(given), update, inserted=True)
    return wire if "_id" in wire else {"_id": ObjectId(), **wire}
