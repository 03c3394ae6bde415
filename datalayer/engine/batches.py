"""Changes of many documents: in one transaction where that succeeds soon, else in batches."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import pymongo
from bson import ObjectId
from pymongo.errors import OperationFailure, PyMongoError

from datalayer.engine.connection import Connection
from datalayer.engine.errors import IncompleteError, OutcomeUnknownError
from datalayer.engine.translation import commit_is_unknown, is_transient

T = TypeVar("T")

Batch = Callable[[ObjectId | None, int], Awaitable[Sequence[ObjectId]]]
"""Changes the documents behind an id, in the order of their ids, and at most so many of them; returns their ids.

It runs in a transaction, and again where that conflicts. `None` is in front of the first id.
"""

AT_ONCE_ATTEMPTS = 8
AT_ONCE_SECONDS = 5.0
"""How often, and for how long, one transaction for everything is tried before the batches."""

BATCH = 500
"""How many documents a batch changes at most."""

_TOO_LARGE = {"TransactionTooLarge", "TransactionTooLargeForCache"}


class _TooMuchError(Exception):
    """One transaction for everything did not succeed, and nothing has happened."""


async def at_once_or_in_batches(
    connection: Connection,
    at_once: Callable[[], Awaitable[T]],
    begin: Callable[[], Awaitable[T]],
    batches: Sequence[Batch],
    *,
    is_large: Callable[[], Awaitable[bool]] | None = None,
    size: int | None = None,
) -> T:
    """Make a change that many documents follow, and return what the change returns.

    Readers see all of it or nothing, as long as it succeeds in one transaction. Documents that others write to all the
    time may prevent that, and so may the number of documents: it takes too long, or does not fit into the server's
    cache. Then the change is committed alone, and the documents follow in many short transactions. In a transaction
    that is open already everything belongs to that.

    Args:
        connection: Where.
        at_once: Makes the change, and lets every document follow.
        begin: Makes the change alone. Called again after an interruption, it leads to the batches again.
        batches: Let the documents follow, one batch after the other.
        is_large: Whether so many documents follow that the batches are tried at once: a long transaction would hold up
            others.
        size: How many documents a batch has at most; `BATCH` by default.

    Raises:
        IncompleteError: The change is made, and not every document has followed.
    """
    in_batches = is_large is not None and not connection.transaction_is_open() and await is_large()
    try:
        if not in_batches:
            return await _try(connection, at_once)
    except _TooMuchError:
        pass
    result = await connection.transaction(begin)
    try:
        for batch in batches:
            await _run(connection, batch, size)
    except Exception as error:
        raise IncompleteError from error
    return result


async def count_at_once_or_in_batches(
    connection: Connection, at_once: Callable[[], Awaitable[int]], batch: Batch, *, size: int | None = None
) -> int:
    """Change many documents that have nothing to do with each other, and return how many.

    Args:
        connection: Where.
        at_once: Changes all of them, and returns how many.
        batch: Does the same in batches.
        size: How many documents a batch has at most; `BATCH` by default.

    Raises:
        IncompleteError: Some of them are changed.
    """
    try:
        return await _try(connection, at_once)
    except _TooMuchError:
        return await _run(connection, batch, size)


async def _try(connection: Connection, work: Callable[[], Awaitable[T]]) -> T:
    """Do the work in one transaction.

    Raises:
        _TooMuchError: It conflicted too often, took too long, or was too large; in a transaction of its own, that is.
    """
    if connection.transaction_is_open():
        return await work()
    left = AT_ONCE_ATTEMPTS

    async def attempt() -> T:
        nonlocal left
        if not left:
            raise _TooMuchError
        left -= 1
        return await work()

    try:
        with pymongo.timeout(AT_ONCE_SECONDS):
            return await connection.transaction(attempt)
    except PyMongoError as error:
        if commit_is_unknown(error) or not (error.timeout or is_transient(error) or _is_too_large(error)):
            raise
        raise _TooMuchError from error


async def _run(connection: Connection, batch: Batch, size: int | None) -> int:
    """Run a batch again and again, in a transaction of its own each time, until no document is left; return how many.

    One that conflicts is tried again with half as many documents, down to a single one: the fewer there are, the sooner
    there is a moment in which nobody else writes to any of them. Later ones grow again. After a batch that met others,
    they have as much time for themselves as it took.
    """
    size = size or BATCH
    total, after, room = 0, None, size
    while True:
        handed_over = connection.handed_over
        try:
            ids, tried, seconds = await _next(connection, batch, after, room)
        except OutcomeUnknownError as error:
            raise IncompleteError from error
        except PyMongoError as error:
            if total:
                raise IncompleteError from error
            raise
        total += len(ids)
        if len(ids) < tried:
            return total
        if tried < room or connection.handed_over > handed_over:
            await asyncio.sleep(seconds)
        after, room = ids[-1], min(size, 2 * tried)


async def _next(
    connection: Connection, batch: Batch, after: ObjectId | None, size: int
) -> tuple[Sequence[ObjectId], int, float]:
    """One batch; its ids, the size with which it succeeded, and how long it took."""
    size, began = 2 * size, 0.0

    async def attempt() -> Sequence[ObjectId]:
        nonlocal size, began
        size, began = max(1, size // 2), time.monotonic()
        return await batch(after, size)

    ids = await connection.transaction(attempt, varies=True)
    return ids, size, time.monotonic() - began


def _is_too_large(error: PyMongoError) -> bool:
    return isinstance(error, OperationFailure) and (error.details or {}).get("codeName") in _TOO_LARGE
