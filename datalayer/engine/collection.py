"""The collections that repositories work on: the driver's, and each write through them is noted."""

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
"""The update that locks a document in a transaction: whoever else writes to it conflicts. It changes no data."""

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
"""A write that names more documents than this takes no turns."""


class RecordingCollection(AsyncCollection[dict[str, Any]]):
    """A collection whose writes are noted.

    Inside a transaction, a write takes the turns of the documents that its filter names by their ids. The transaction
    counts the writes that changed something, and a write that fails dooms it.
    Outside of one, a write that may have happened although the driver raised an error raises `OutcomeUnknownError`.
    """


def _recorded(name: str) -> Callable[..., Awaitable[Any]]:
    send: Callable[..., Awaitable[Any]] = getattr(AsyncCollection, name)
    names_documents = name not in _INSERTS

    @functools.wraps(send)
    async def write(self: RecordingCollection, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401
        refuse_in_snapshot()
        transaction = current_transaction()
        keys: Sequence[Key] = ()
        if transaction is not None and names_documents:
            keys = _documents(self.name, arguments[0])
            await transaction.take_turns(keys)
        try:
            result = await send(self, *arguments, **options)
        except BaseException as error:
            if transaction is not None:
                transaction.fail(error, keys)
            elif isinstance(error, PyMongoError) and may_have_happened(error):
                raise unconfirmed(error) from error
            raise
        if transaction is not None and _changed(result, arguments, options):
            transaction.wrote()
        return result

    return write


for _name in _WRITES:
    setattr(RecordingCollection, _name, _recorded(_name))


def _changed(result: object, arguments: tuple[Any, ...], options: dict[str, Any]) -> bool:
    """Whether a write has changed any data."""
    if isinstance(result, DeleteResult):
        return result.deleted_count > 0
    if isinstance(result, UpdateResult):
        changed = result.modified_count > 0 or result.upserted_id is not None
    else:
        # A document that was inserted, or what `find_one_and_...` found; without `upsert` nothing is none.
        changed = result is not None or bool(options.get("upsert"))
    return changed and not (len(arguments) > 1 and arguments[1] == LOCK)


def _documents(collection: str, filter: Mapping[str, Any]) -> Sequence[Key]:
    """The documents that the filter names by their ids."""
    id = filter.get("_id")
    if isinstance(id, ObjectId):
        return [(collection, id)]
    ids = cast("Mapping[str, Any]", id).get("$in", ()) if isinstance(id, dict) else ()
    return [(collection, id) for id in ids] if len(ids) <= MAX_TURNS else ()
