"""What the library needs of the driver's private parts, all in one place.

Each of these is held against the installed driver by a test, so that an upgrade which breaks one is noticed.
"""

import asyncio
import sys
import traceback
from collections.abc import Awaitable
from types import ModuleType
from typing import Any, TypeVar

import pymongo.lock
import pymongo.network_layer
import pymongo.pool_shared
from pymongo import _csot
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.mongo_client import _ClientConnectionRetryable  # pyright: ignore[reportPrivateUsage]
from pymongo.client_session_shared import _TxnState  # pyright: ignore[reportPrivateUsage]
from pymongo.errors import OperationFailure, PyMongoError

T = TypeVar("T")

_NO_SUCH_TRANSACTION = 251


def deliver_cancellations() -> None:
    """Let every cancellation of a task that waits for the driver arrive, also on Python 3.11.

    The driver waits by `asyncio.wait_for`, which runs what it waits for in a task of its own before Python 3.12. That
    has two faults. A cancellation that arrives when the inner task has just finished is lost: `wait_for` returns, and
    the caller goes on. And a caller that is cancelled while the inner task takes a lock goes on without it: the lock
    stays taken, and every later operation of the client waits forever.
    """
    if sys.version_info < (3, 12):
        _replace(pymongo.lock, "wait_for", _wait_for)
        for module in (pymongo.network_layer, pymongo.pool_shared):
            _replace(module, "asyncio", _Asyncio())


def _replace(owner: object, name: str, value: object) -> None:
    setattr(owner, name, value)


class _Asyncio(ModuleType):
    """The module `asyncio`, but for one function."""

    def __init__(self) -> None:
        super().__init__("asyncio")
        self.__dict__.update(vars(asyncio), wait_for=_wait_for)


async def _wait_for(awaitable: Awaitable[T], timeout: float | None) -> T:  # noqa: ASYNC109 - the driver's call has it
    """What `asyncio.wait_for` is from Python 3.12 on."""
    async with asyncio.timeout(timeout):
        return await awaitable


def earlier_error(error: BaseException) -> BaseException | None:
    """The error of an earlier attempt at the operation that raised this one; `None` if this was the first attempt.

    The driver repeats an operation whose connection broke, and keeps what came of the attempt before in the object that
    runs the operation. It does not chain the two errors. The frames of the traceback lead to that object.
    """
    for frame, _ in traceback.walk_tb(error.__traceback__):
        operation = frame.f_locals.get("self")
        if isinstance(operation, _ClientConnectionRetryable):
            return operation._last_error  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
    return None


async def abort(session: AsyncClientSession) -> bool:
    """Abort the session's transaction, and return whether the server has confirmed that it is over.

    `abort_transaction` hides most errors: those of the network, and those with which the server answers.
    """
    if not isinstance(session, AsyncClientSession):  # pyright: ignore[reportUnnecessaryIsInstance] - a stand-in
        await session.abort_transaction()
        return True
    confirmed = True
    finish = session._finish_transaction_with_retry  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]

    async def noting(command: str) -> dict[str, Any]:
        nonlocal confirmed
        try:
            return await finish(command)
        except PyMongoError as error:
            confirmed = isinstance(error, OperationFailure) and error.code == _NO_SUCH_TRANSACTION
            raise

    _replace(session, "_finish_transaction_with_retry", noting)
    try:
        await session.abort_transaction()
    except PyMongoError:
        confirmed = False
    finally:
        _replace(session, "_finish_transaction_with_retry", finish)
    return confirmed


def has_begun(session: AsyncClientSession) -> bool:
    """Whether the server knows of the session's transaction, and so reads a snapshot for it."""
    if not isinstance(session, AsyncClientSession):  # pyright: ignore[reportUnnecessaryIsInstance] - a stand-in
        return True
    return session._transaction.state is not _TxnState.STARTING  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]


async def forget(session: AsyncClientSession) -> None:
    """End the session's transaction without a word to the server, which has aborted it."""
    session._transaction.state = _TxnState.ABORTED  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
    await session._unpin()  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]


def time_left() -> float | None:
    """How many seconds the blocks of `pymongo.timeout` leave that the caller is in."""
    return _csot.remaining()
