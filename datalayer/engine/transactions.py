"""A single attempt at a transaction, from its first operation to its end."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection
from contextvars import Context, ContextVar
from types import TracebackType
from typing import Any, TypeVar

import pymongo
from bson.errors import BSONError
from pymongo import ReadPreference, WriteConcern
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import InvalidOperation, PyMongoError
from pymongo.read_concern import ReadConcern

from datalayer.engine.driver import abort, earlier_error, forget, has_begun, time_left
from datalayer.engine.errors import DataLayerError, UnavailableError
from datalayer.engine.held_turns import HeldTurns
from datalayer.engine.translation import (
    commit_is_unknown,
    is_conflict,
    is_not_committed,
    is_transient,
    translate,
    unconfirmed,
)
from datalayer.engine.turns import Key, TurnTakenError

T = TypeVar("T")

TRANSACTION_SECONDS = 30.0
"""How long a transaction is retried before it fails, and how long its commit. The server limits an attempt to 60 s."""

LAST_SECONDS = 5.0
"""The time limit for rolling back a transaction, and for a commit whose caller is cancelled."""

_PAUSE = 0.05
_GRACE = 0.5


class Transaction:
    """An open transaction of a task.

    Attributes:
        session: The driver's session.
        turns: The turns that it holds.
        task: The task that opened it.
        writes: The number of statements that have changed something.
        failure: The error that dooms the transaction: it can only be rolled back.
        over: True if the transaction has ended.
    """

    def __init__(self, session: AsyncClientSession, turns: HeldTurns) -> None:
        self.session = session
        self.turns = turns
        self.task = asyncio.current_task()
        self.writes = 0
        self.failure: BaseException | None = None
        self.over = False

    async def take_turns(self, keys: Collection[Key]) -> None:
        """Take the turns of documents that are about to be written.

        Before its first statement, the transaction waits for the turns. Later, its snapshot would be too old.

        Raises:
            TurnTakenError: Another task has one of them. The transaction is doomed, and retried with the turns.
        """
        missing = self.turns.missing(keys)
        if not missing:
            return
        if len(self.turns.keys) > 0 or has_begun(self.session):
            error = TurnTakenError(missing)
            self.fail(error)
            raise error
        await wait_for_turns(self.turns, missing)

    def wrote(self) -> None:
        """Count a statement that has changed something."""
        self.writes += 1

    def fail(self, error: BaseException) -> None:
        """Doom the transaction, unless the task only inherited its context."""
        if self.failure is None and self.task is asyncio.current_task():
            self.failure = error


_current: ContextVar[Transaction | None] = ContextVar("datalayer_transaction", default=None)


def current_transaction() -> Transaction | None:
    """Return the open transaction in the current context, which another task may have opened, or `None`."""
    return _current.get()


class AllOrNothing:
    """Dooms the open transaction if the block may have left its work half done.

    MongoDB has no savepoints: part of a transaction cannot be rolled back. So an error that leaves the block dooms the
    whole transaction, even if the caller catches it, if

    - the block wrote something before it;
    - it is an error of the driver: the server has aborted the transaction, or its state is unknown; or
    - it is an interruption, such as a cancellation: a statement may be on its way to the server.

    Any other error was raised before the first write, and the transaction can continue after it.
    """

    __slots__ = ("_transaction", "_writes")

    def __enter__(self) -> None:
        self._transaction = transaction = _current.get()
        self._writes = 0 if transaction is None else transaction.writes

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        transaction = self._transaction
        if error is None or transaction is None:
            return
        if transaction.writes != self._writes or isinstance(error, _OF_THE_DRIVER) or not isinstance(error, Exception):
            transaction.fail(error)


_OF_THE_DRIVER = (PyMongoError, BSONError, OverflowError)


async def wait_for_turns(turns: HeldTurns, keys: Collection[Key]) -> None:
    """Wait for the turns of documents, until the deadline.

    Raises:
        UnavailableError: The transactions that hold the turns did not end in time.
    """
    if not turns.missing(keys):
        return
    try:
        async with asyncio.timeout(time_left()):
            await turns.wait(keys)
    except TimeoutError as error:
        message = "Other transactions of this process write the same documents, and did not end in time."
        raise UnavailableError(message, hint="Does one of them wait for this one?") from error


async def attempt(
    session: AsyncClientSession,
    database: AsyncDatabase[dict[str, Any]],
    work: Callable[[], Awaitable[T]],
    turns: HeldTurns,
) -> T:
    """Run the work in the transaction that the session has started, then commit or roll back.

    Raises:
        PyMongoError: With the driver's label if the transaction may be retried.
    """
    transaction = Transaction(session, turns)
    try:
        result = await _worked(transaction, work)
    except BaseException as error:
        if is_conflict(error):
            # The server has aborted it.
            await forget(session)
            raise
        in_flight = _is_interruption(error) or _is_interruption(transaction.failure)
        await _to_the_end(lambda: _undo(session, database, in_flight=in_flight), LAST_SECONDS)
        raise
    await _to_the_end(lambda: _commit(session, database), TRANSACTION_SECONDS)
    return result


async def _worked(transaction: Transaction, work: Callable[[], Awaitable[T]]) -> T:
    token = _current.set(transaction)
    # The driver's own errors come first.
    left = time_left()
    limit = asyncio.timeout(None if left is None else left + _GRACE)
    try:
        async with limit:
            result = await work()
    except TimeoutError as error:
        if not limit.expired():
            raise
        message = "The work of the transaction did not end in time, and is undone."
        raise UnavailableError(message, hint="Does it wait for another task that waits for it?") from error
    except InvalidOperation as error:
        # Of the library's own, so that the driver does not take it for one that may pass.
        raise translate(error) from error
    except Exception:
        # What the work made of it does not matter: the server has undone the attempt, and it can be tried again.
        if transaction.failure is not None and is_transient(transaction.failure):
            raise transaction.failure from None
        raise
    finally:
        transaction.over = True
        _current.reset(token)
    if transaction.failure is None:
        return result
    if is_transient(transaction.failure):
        raise transaction.failure
    # The work went on after it: that must not look like a success.
    raise undone(transaction.failure) from transaction.failure


def undone(failure: BaseException) -> DataLayerError:
    """Return the error for work that continues after it caught the error that doomed its transaction."""
    return DataLayerError(
        f"The transaction was undone by an error inside it, a {type(failure).__name__}.",
        hint="Let the error leave the work that was given to `transaction`.",
    )


def _is_interruption(error: BaseException | None) -> bool:
    """Return whether the error is a cancellation or similar, so that a statement may be on its way to the server."""
    # `asyncio.timeout` makes a TimeoutError of a cancellation.
    return error is not None and not (isinstance(error, Exception) and isinstance(error.__cause__, Exception | None))


async def _undo(session: AsyncClientSession, database: AsyncDatabase[dict[str, Any]], *, in_flight: bool) -> None:
    if not await abort(session) or in_flight:
        await _supersede(session, database)


async def _supersede(session: AsyncClientSession, database: AsyncDatabase[dict[str, Any]]) -> None:
    """Make the server end the session's transaction by starting a later one. Retried until the server confirms it.

    Raises no error of the driver: the error that led here is the one to raise.

    From then on, the server also rejects statements of the earlier transaction that arrive late. Such a statement
    would start the transaction again, and nothing would end it.
    """
    until = time.monotonic() + LAST_SECONDS
    while time.monotonic() < until:
        try:
            await session.start_transaction(ReadConcern("local"), WriteConcern(1), ReadPreference.PRIMARY)
            await database["nothing"].find_one(session=session)
            # The driver hides the errors of an abort, not those of a commit; there is nothing to commit.
            await session.commit_transaction()
        except InvalidOperation:
            # The client is closed.
            return
        except PyMongoError:
            if session.in_transaction:
                await abort(session)
            await asyncio.sleep(_PAUSE)
        else:
            return


async def _commit(session: AsyncClientSession, database: AsyncDatabase[dict[str, Any]]) -> None:
    try:
        await _confirmed(session)
    except Exception as error:
        if not is_transient(error):
            # Where the server has refused to commit it, it is still open there. The commit may have used up its time.
            await _to_the_end(lambda: _supersede(session, database), LAST_SECONDS)
        raise


async def _confirmed(session: AsyncClientSession) -> None:
    """Commit, and retry until the outcome is known; a commit is idempotent.

    Raises:
        PyMongoError: The transaction was not committed.
        OutcomeUnknownError: The server did not confirm the outcome in time.
    """
    until = time.monotonic() + TRANSACTION_SECONDS
    is_unknown = False
    while True:
        try:
            await session.commit_transaction()
        except PyMongoError as error:
            is_unknown = is_unknown or commit_is_unknown(error) or earlier_error(error) is not None
            if is_transient(error) and (not is_unknown or is_not_committed(error)):
                raise
            if is_unknown and (isinstance(error, InvalidOperation) or time.monotonic() > until):
                raise unconfirmed(error) from error
            if isinstance(error, InvalidOperation):
                # Of the library's own, as in `_worked`.
                raise translate(error) from error
            if not is_unknown:
                raise
            # A server that takes another role needs a moment.
            await asyncio.sleep(_PAUSE)
        else:
            return


async def _to_the_end(end: Callable[[], Awaitable[None]], seconds: float) -> None:
    """Run `end` in a task of its own, so that a cancellation or deadline cannot leave the transaction open.

    An open transaction would keep its documents locked until the server's own time limit for transactions.
    """

    async def in_time() -> None:
        with pymongo.timeout(seconds):
            await end()

    # In a context of its own, where the deadline of the transaction does not hold.
    ending = asyncio.get_running_loop().create_task(in_time(), context=Context())
    cancelled: asyncio.CancelledError | None = None
    while not ending.done():
        try:
            _, unfinished = await asyncio.wait([ending], timeout=LAST_SECONDS if cancelled else None)
        except asyncio.CancelledError as error:
            cancelled = error
        else:
            for task in unfinished:
                task.cancel()
    if cancelled is not None:
        if not ending.cancelled():
            # Its error is the caller's no longer; asyncio would report one that nobody looks at.
            ending.exception()
        raise cancelled
    ending.result()
