"""Every use of the driver's private API, in one place.

Tests check each of them against the installed driver, so an upgrade that breaks one is noticed.
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
    """Make sure that cancelling a task that waits for the driver takes effect, even on Python 3.11.

    The driver uses `asyncio.wait_for`, which runs the awaitable in a separate task before Python 3.12. That has two
    bugs. A cancellation that arrives when the inner task has just finished is lost: `wait_for` returns, and the caller
    continues. And if the caller is cancelled while the inner task acquires a lock, the lock is never released, and
    every later operation of the client waits forever.
    """
    if sys.version_info < (3, 12):
        _replace(pymongo.lock, "wait_for", _wait_for)
        for module in (pymongo.network_layer, pymongo.pool_shared):
            _replace(module, "asyncio", _Asyncio())


def _replace(owner: object, name: str, value: object) -> None:
    setattr(owner, name, value)


class _Asyncio(ModuleType):
    """The module `asyncio` with `wait_for` replaced."""

    def __init__(self) -> None:
        super().__init__("asyncio")
        self.__dict__.update(vars(asyncio), wait_for=_wait_for)


async def _wait_for(awaitable: Awaitable[T], timeout: float | None) -> T:  # noqa: ASYNC109 - the driver's call has it
    """`asyncio.wait_for` as implemented since Python 3.12."""
    async with asyncio.timeout(timeout):
        return await awaitable


def earlier_error(error: BaseException) -> BaseException | None:
    """Return the error of an earlier attempt at the same operation, or `None` if this was the first attempt.

    The driver retries an operation after a network error, and keeps the first error in the object that runs the
    operation. It does not chain the two errors. The frames of the traceback lead to that object.
    """
    for frame, _ in traceback.walk_tb(error.__traceback__):
        operation = frame.f_locals.get("self")
        if isinstance(operation, _ClientConnectionRetryable):
            return operation._last_error  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
    return None


async def abort(session: AsyncClientSession) -> bool:
    """Abort the session's transaction, and return whether the server confirmed that it has ended.

    `abort_transaction` suppresses most errors, both network errors and those that the server returns.
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
    """Return whether the transaction has started on the server, which then reads from a snapshot."""
    if not isinstance(session, AsyncClientSession):  # pyright: ignore[reportUnnecessaryIsInstance] - a stand-in
        return True
    return session._transaction.state is not _TxnState.STARTING  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]


async def forget(session: AsyncClientSession) -> None:
    """End the session's transaction on the client only; the server has already aborted it."""
    session._transaction.state = _TxnState.ABORTED  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
    await session._unpin()  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]


def time_left() -> float | None:
    """Return the seconds left until the deadline set by `pymongo.timeout`, or `None` if there is none."""
    return _csot.remaining()
