"""One attempt at a transaction, from its first operation to its end."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from contextvars import Context, ContextVar
from typing import Any, TypeVar

import pymongo
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import InvalidOperation, PyMongoError

from datalayer.engine.translation import commit_is_unknown, is_transient, translate

T = TypeVar("T")

TRANSACTION_SECONDS = 30.0
"""How long a transaction is tried again before it fails, and how long its commit; one attempt has the server's 60 s."""

LAST_SECONDS = 5.0
"""How long a transaction is being undone, and how long a commit goes on whose caller is cancelled."""

_PAUSE = 0.05


class Transaction:
    """The transaction that a task has open.

    Attributes:
        session: The driver's session.
        task: The task that opened it.
        failure: The error by which the server has undone it.
        over: Whether it has ended.
    """

    def __init__(self, session: AsyncClientSession) -> None:
        self.session = session
        self.task = asyncio.current_task()
        self.failure: BaseException | None = None
        self.over = False


_current: ContextVar[Transaction | None] = ContextVar("datalayer_transaction", default=None)


def current_transaction() -> Transaction | None:
    """The transaction that is open where this is called; maybe one that another task has opened."""
    return _current.get()


def transaction_failed(error: BaseException) -> None:
    """Remember that the server has undone the open transaction, if one is open: nothing may go on as if it had not."""
    transaction = _current.get()
    if transaction is not None and transaction.task is asyncio.current_task():
        transaction.failure = error


async def attempt(
    session: AsyncClientSession, database: AsyncDatabase[dict[str, Any]], work: Callable[[], Awaitable[T]]
) -> T:
    """Do the work in the transaction that the session has begun, and end that: by a commit, or by undoing it all.

    Raises:
        PyMongoError: With the label by which `with_transaction` knows whether to try again.
    """
    try:
        result = await _worked(session, work)
    except BaseException as error:
        is_cancelled = not isinstance(error, Exception)
        await _to_the_end(lambda: _undo(session, database, in_flight=is_cancelled), LAST_SECONDS)
        raise
    await _to_the_end(lambda: _commit(session), TRANSACTION_SECONDS)
    return result


async def _worked(session: AsyncClientSession, work: Callable[[], Awaitable[T]]) -> T:
    transaction = Transaction(session)
    token = _current.set(transaction)
    try:
        result = await work()
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
    if transaction.failure is not None:
        # The work went on after an error that had undone everything: it must not look like a success.
        raise transaction.failure
    return result


async def _undo(session: AsyncClientSession, database: AsyncDatabase[dict[str, Any]], *, in_flight: bool) -> None:
    await session.abort_transaction()
    if in_flight:
        # A statement that was cancelled may reach the server after that, and begin the transaction that nobody would
        # end any more. The server refuses it when the session has a later transaction.
        with contextlib.suppress(PyMongoError):
            await session.start_transaction()
            await database["nothing"].find_one(session=session)
            await session.abort_transaction()


async def _commit(session: AsyncClientSession) -> None:
    """Ask for the commit until it is known what came of it: that is safe to repeat."""
    until = time.monotonic() + TRANSACTION_SECONDS
    while True:
        try:
            await session.commit_transaction()
        except PyMongoError as error:
            if not commit_is_unknown(error) or time.monotonic() > until:
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
        raise cancelled
    ending.result()
