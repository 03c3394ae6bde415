"""Changes to many documents: in one transaction if that succeeds soon, otherwise in batches."""

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
"""Changes up to the given number of documents whose ids follow the given id, in id order; returns their ids.

It runs in a transaction, which is retried on write conflicts. `None` starts at the first document.
"""

AT_ONCE_ATTEMPTS = 8
AT_ONCE_SECONDS = 5.0
"""How many times, and for how long, to try a single transaction before falling back to batches."""

BATCH = 500
"""The maximum number of documents in a batch."""

_TOO_LARGE = {"TransactionTooLarge", "TransactionTooLargeForCache"}


class _TooMuchError(Exception):
    """The single transaction did not succeed, and nothing was changed."""


async def at_once_or_in_batches(
    connection: Connection,
    at_once: Callable[[], Awaitable[T]],
    begin: Callable[[], Awaitable[T]],
    batches: Sequence[Batch],
    *,
    is_large: Callable[[], Awaitable[bool]] | None = None,
    size: int | None = None,
) -> T:
    """Make a change, propagate it to many documents, and return the result of the change.

    If one transaction is enough, readers see either all of the change or none of it. A single transaction may fail when
    others keep writing to the documents, or when there are so many documents that it takes too long or does not fit
    into the server's cache. Then the change is committed alone and propagated in many short transactions. Inside an
    open transaction, everything becomes part of that transaction.

    Args:
        connection: The open database.
        at_once: Makes the change and propagates it to every document.
        begin: Makes the change alone. When called again after an interruption, it must allow the batches to run again.
        batches: Propagate the change, one batch at a time.
        is_large: Returns whether there are so many documents that the single transaction should be skipped: a long
            transaction would block others.
        size: The maximum number of documents in a batch; defaults to `BATCH`.

    Raises:
        IncompleteError: The change was made, but not yet propagated to every document.
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
    """Change many independent documents, and return how many were changed.

    Args:
        connection: The open database.
        at_once: Changes all of them, and returns how many.
        batch: Does the same in batches.
        size: The maximum number of documents in a batch; defaults to `BATCH`.

    Raises:
        IncompleteError: Only some of the documents were changed.
    """
    try:
        return await _try(connection, at_once)
    except _TooMuchError:
        return await _run(connection, batch, size)


async def _try(connection: Connection, work: Callable[[], Awaitable[T]]) -> T:
    """Do the work in one transaction.

    Raises:
        _TooMuchError: The transaction conflicted too often, took too long, or was too large. Not raised inside an open
            transaction.
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
    """Run batches, each in its own transaction, until no document is left. Return the number of documents.

    A batch that conflicts is retried with half as many documents, down to a single one: the fewer documents, the sooner
    there is a moment in which nobody else writes to any of them. Later batches grow again. After a batch that met other
    writers, pause for as long as it took.
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
    """Run one batch. Return its ids, the size with which it succeeded, and its duration in seconds."""
    size, began = 2 * size, 0.0

    async def attempt() -> Sequence[ObjectId]:
        nonlocal size, began
        size, began = max(1, size // 2), time.monotonic()
        return await batch(after, size)

    ids = await connection.transaction(attempt, varies=True)
    return ids, size, time.monotonic() - began


def _is_too_large(error: PyMongoError) -> bool:
    return isinstance(error, OperationFailure) and (error.details or {}).get("codeName") in _TOO_LARGE
