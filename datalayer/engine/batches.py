"""Changes that many documents follow: in one transaction where that succeeds, else in batches."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from pymongo.errors import PyMongoError

from datalayer.engine.connection import Connection
from datalayer.engine.errors import OutcomeUnknownError

T = TypeVar("T")


async def at_once_or_in_batches(
    connection: Connection,
    change: Callable[[], Awaitable[T]],
    follow: Callable[[T], Awaitable[None]],
    follow_in_batches: Callable[[], Awaitable[None]],
    *,
    attempts: int,
    incomplete: str,
) -> T:
    """Make a change that many documents follow, and return what the change returns.

    Readers see all of it or nothing, as long as one of the attempts succeeds. Documents that others write to all the
    time may prevent that; then the change is committed alone, and the documents follow in many short transactions. In a
    transaction that is open already everything belongs to that.

    Args:
        connection: Where.
        change: Makes the change, in a transaction.
        follow: Updates every document that follows, in the same transaction.
        follow_in_batches: Does the same in transactions of its own. It finds what is left by itself, so that repeating
            the whole call completes an interrupted one.
        attempts: How often one transaction is tried before the batches.
        incomplete: The message of the error when the batches did not finish.

    Raises:
        OutcomeUnknownError: The change is made, and not every document has followed.
    """
    joined = connection.transaction_is_open()
    left = attempts

    async def work() -> tuple[T, bool]:
        nonlocal left
        at_once = joined or left > 0
        left -= 1
        result = await change()
        if at_once:
            await follow(result)
        return result, at_once

    result, followed = await connection.transaction(work)
    if not followed:
        try:
            await follow_in_batches()
        except PyMongoError as error:
            raise OutcomeUnknownError(incomplete) from error
    return result
