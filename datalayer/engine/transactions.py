"""One attempt at a transaction, from its first operation to its end."""

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
from datalayer.engine.translation import (
    commit_is_unknown,
    is_conflict,
    is_not_committed,
    is_transient,
    translate,
    unconfirmed,
)
from datalayer.engine.turns import HeldTurns, Key, TurnTakenError

T = TypeVar("T")

TRANSACTION_SECONDS = 30.0
"""How long a transaction is tried again before it fails, and how long its commit; one attempt has the server's 60 s."""

LAST_SECONDS = 5.0
"""How long a transaction is being undone, and how long a commit goes on whose caller is cancelled."""

_PAUSE = 0.05
_GRACE = 0.5


class Transaction:
    """The transaction that a task has open.

    Attributes:
        session: The driver's session.
        turns: The turns that it has.
        task: The task that opened it.
        writes: How many statements have changed something in it.
        failure: The error that dooms it: it can only be undone.
        conflicts: The documents that the statement named whose error that is.
        over: Whether it has ended.
    """

    def __init__(self, session: AsyncClientSession, turns: HeldTurns) -> None:
        self.session = session
        self.turns = turns
        self.task = asyncio.current_task()
        self.writes = 0
        self.failure: BaseException | None = None
        self.conflicts: Collection[Key] = ()
        self.over = False

    async def take_turns(self, keys: Collection[Key]) -> None:
        """Take the turns of documents that are about to be written.

        Before its first statement the transaction waits for them. Later its snapshot would be too old.

        Raises:
            TurnTakenError: Another task has one of them. The transaction is doomed, and is tried again with the turns.
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
        """Note that a statement has changed something."""
        self.writes += 1

    def fail(self, error: BaseException, keys: Collection[Key] = ()) -> None:
        """Doom the transaction; an error in a task that only inherited its context does not."""
        if self.failure is None and self.task is asyncio.current_task():
            self.failure, self.conflicts = error, keys


_current: ContextVar[Transaction | None] = ContextVar("datalayer_transaction", default=None)


def current_transaction() -> Transaction | None:
    """The transaction that is open where this is called; maybe one that another task has opened."""
    return _current.get()


class AllOrNothing:
    """Dooms the open transaction when what happens inside of the block may be half done.

    MongoDB has no savepoints: a part of a transaction cannot be undone alone. So an error that leaves the block dooms
    the whole transaction, whether the caller catches it or not, if

    - something was written inside the block before it;
    - it is the driver's: the server has undone the transaction, or its state is unknown; or
    - it is an interruption, such as a cancellation: a statement may be on its way to the server.

    Any other error is a refusal: it was raised before the first write. The transaction can go on after it.
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
    """Wait for the turns of documents, as long as there is time.

    Raises:
        UnavailableError: Those who have them did not end in time.
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
    """Do the work in the transaction that the session has begun, and end that: by a commit, or by undoing it all.

    Raises:
        PyMongoError: With the driver's label where the transaction may be tried again.
    """
    transaction = Transaction(session, turns)
    try:
        result = await _worked(transaction, work)
    except BaseException as error:
        if is_conflict(error):
            # The server has aborted it.
            turns.turns.conflicted(transaction.conflicts)
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
    """The error for work that caught what doomed its transaction, and goes on."""
    return DataLayerError(
        f"The transaction was undone by an error inside it, a {type(failure).__name__}.",
        hint="Let the error leave the work that was given to `transaction`.",
    )


def _is_interruption(error: BaseException | None) -> bool:
    """Whether it is a cancellation or the like, which may have come while a statement was on its way to the server."""
    # `asyncio.timeout` makes a TimeoutError of a cancellation.
    return error is not None and not (isinstance(error, Exception) and isinstance(error.__cause__, Exception | None))


async def _undo(session: AsyncClientSession, database: AsyncDatabase[dict[str, Any]], *, in_flight: bool) -> None:
    if not await abort(session) or in_flight:
        await _supersede(session, database)


async def _supersede(session: AsyncClientSession, database: AsyncDatabase[dict[str, Any]]) -> None:
    """Let the server end the session's transaction by a later one; repeated until the server confirms it.

    It raises no error of the driver: the error that led here is the one to raise.

    From then on the server also refuses a statement of the earlier transaction that arrives late. Such a statement
    would begin the transaction again, and nobody would end it.
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
    """Ask for the commit until it is known what came of it: that is safe to repeat.

    Raises:
        PyMongoError: The transaction was not committed.
        OutcomeUnknownError: The server did not say in time whether it was.
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
    """End the transaction, also where the task is cancelled or out of time: it would stay open on the server.

    It would keep its documents locked there until the server's own limit for transactions.
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
