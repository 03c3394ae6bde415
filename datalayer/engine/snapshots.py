"""Snapshots: several reads that see the same state."""

import asyncio
from contextvars import ContextVar, Token
from typing import Any

from pymongo import AsyncMongoClient

from datalayer.engine.errors import ConcurrentTransactionError, DataLayerError


class Snapshot:
    """A block whose reads see the same state.

    Attributes:
        client: Whose session it is.
        task: The task that opened it.
        over: Whether the block has ended.
    """

    def __init__(self, client: AsyncMongoClient[Any]) -> None:
        self.client = client
        self.task = asyncio.current_task()
        self.over = False

    def __enter__(self) -> None:
        self._token: Token[Snapshot | None] = _current.set(self)

    def __exit__(self, *_: object) -> None:
        self.over = True
        _current.reset(self._token)


_current: ContextVar[Snapshot | None] = ContextVar("datalayer_snapshot", default=None)


def snapshot_is_open() -> bool:
    """Return whether there is a snapshot where this is called."""
    return _current.get() is not None


def check_snapshot(client: AsyncMongoClient[Any]) -> None:
    """Make sure that an operation of this client may happen here.

    Raises:
        ConcurrentTransactionError: There is a snapshot that belongs to another task, or to another client.
    """
    snapshot = _current.get()
    if snapshot is None:
        return
    if snapshot.task is not asyncio.current_task():
        raise ConcurrentTransactionError(
            "This task was started inside a snapshot of another task" + (", which is over." if snapshot.over else "."),
            hint="Await repository calls in turn inside a snapshot; start tasks outside of it.",
        )
    if snapshot.client is not client:
        raise ConcurrentTransactionError("A snapshot of another connection is open: one cannot span two clients.")


def refuse_in_snapshot() -> None:
    """Make sure that a write may happen here.

    Raises:
        DataLayerError: There is a snapshot, which only reads.
    """
    if _current.get() is not None:
        raise DataLayerError("A snapshot only reads.", hint="Write after it, or use `transaction` instead.")
