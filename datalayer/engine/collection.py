"""The collections that repositories use: the driver's, with every write recorded."""

import functools
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, cast

from bson import ObjectId
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.errors import PyMongoError
from pymongo.results import DeleteResult, UpdateResult

from datalayer.engine.snapshots import refuse_in_snapshot
from datalayer.engine.transactions import current_transaction
from datalayer.engine.translation import may_have_happened, unconfirmed
from datalayer.engine.turns import Key

LOCK = {"$inc": {"revision": 1}}
"""The update that locks a document in a transaction: any other write to it conflicts. It changes no data."""

_WRITES = (
    "insert_one",
    "insert_many",
    "update_one",
    "update_many",
    "replace_one",
    "delete_one",
    "delete_many",
    "find_one_and_update",
    "find_one_and_replace",
    "find_one_and_delete",
    "bulk_write",
)


_INSERTS = {"insert_one", "insert_many", "bulk_write"}

MAX_TURNS = 1_000
"""Writes that name more documents than this take no turns."""


class RecordingCollection(AsyncCollection[dict[str, Any]]):
    """A collection that records its writes.

    Inside a transaction, a write takes the turns of the documents whose ids its filter names. The transaction counts
    the writes that changed something. A write that fails dooms it.
    Outside of a transaction, a write that may have been applied although the driver raised an error raises
    `OutcomeUnknownError`.
    """


def _recorded(name: str) -> Callable[..., Awaitable[Any]]:
    send: Callable[..., Awaitable[Any]] = getattr(AsyncCollection, name)
    names_documents = name not in _INSERTS

    @functools.wraps(send)
    async def write(self: RecordingCollection, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401
        refuse_in_snapshot()
        transaction = current_transaction()
        if transaction is not None and names_documents:
            await transaction.take_turns(_documents(self.name, arguments[0]))
        try:
            result = await send(self, *arguments, **options)
        except BaseException as error:
            if transaction is not None:
                transaction.fail(error)
            elif isinstance(error, PyMongoError) and may_have_happened(error):
                raise unconfirmed(error) from error
            raise
        if transaction is not None and _changed(result, arguments, options):
            transaction.wrote()
        return result

    return write


for _name in _WRITES:
    setattr(RecordingCollection, _name, _recorded(_name))


async def insert_all(collection: AsyncCollection[dict[str, Any]], wires: Sequence[dict[str, Any]]) -> None:
    """Insert the documents in one round trip. A single document takes a command that costs the client less."""
    if len(wires) == 1:
        await collection.insert_one(wires[0])
    else:
        await collection.insert_many(wires)


def _changed(result: object, arguments: tuple[Any, ...], options: dict[str, Any]) -> bool:
    """Return whether a write has changed any data."""
    if isinstance(result, DeleteResult):
        return result.deleted_count > 0
    if isinstance(result, UpdateResult):
        changed = result.modified_count > 0 or result.upserted_id is not None
    else:
        # The result of an insert, or the document that `find_one_and_...` found. An upsert may return `None`.
        changed = result is not None or bool(options.get("upsert"))
    return changed and not (len(arguments) > 1 and arguments[1] == LOCK)


def _documents(collection: str, filter: Mapping[str, Any]) -> Sequence[Key]:
    """Return the documents whose ids the filter names."""
    id = filter.get("_id")
    if isinstance(id, ObjectId):
        return [(collection, id)]
    ids = cast("Mapping[str, Any]", id).get("$in", ()) if isinstance(id, dict) else ()
    return [(collection, id) for id in ids] if len(ids) <= MAX_TURNS else ()
