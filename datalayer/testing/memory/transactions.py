"""Sessions and transactions: they run one after another, and can be rolled back."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Protocol, Self

from datalayer.testing.memory.language import Wire, unsupported

WAIT_SECONDS = 30.0
"""How long an operation waits for the transaction of another task; as long as transactions are retried."""


class Written(Protocol):
    """A collection whose documents can be restored."""

    async def restore(self, wires: list[Wire]) -> None:
        """Replace all documents with these."""


class Client:
    """Serializes access: one operation at a time, or a transaction or snapshot from its first operation on."""

    def __init__(self) -> None:
        self.in_transaction = False
        self._before: dict[Written, list[Wire]] = {}
        self._lock = asyncio.Lock()

    def start_session(self, *, snapshot: bool = False) -> "Session":
        """Return a session. All reads in a snapshot session see the same state."""
        return Session(self, lasts=snapshot)

    @asynccontextmanager
    async def turn(self) -> AsyncGenerator[None]:
        """Run one operation: as part of an enclosing operation, transaction or snapshot, or on its own."""
        # Nothing here waits for a network: without this, a busy task would never yield to the others.
        await asyncio.sleep(0)
        session = _bound.get()
        if session is None or session.client is not self or not session.lasts:
            async with self.start_session(snapshot=True) as alone, alone.bind():
                await alone.begin()
                yield
            return
        await session.begin()
        yield

    async def acquire(self) -> None:
        """Acquire exclusive access to the data."""
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await self._lock.acquire()
        except TimeoutError:
            raise unsupported(f"waiting more than {WAIT_SECONDS} s for the transaction of another task") from None

    def wrote(self, collection: Written, before: list[Wire]) -> None:
        """Remember the documents that a collection had before the transaction wrote to it."""
        if self.in_transaction:
            self._before.setdefault(collection, before)

    async def release(self, *, undo: bool) -> None:
        """Release the data."""
        for collection, wires in self._before.items():
            if undo:
                await collection.restore(wires)
        self._before, self.in_transaction = {}, False
        self._lock.release()


class Session:
    """A session, with the part of the driver's interface that the data layer uses."""

    def __init__(self, client: Client, *, lasts: bool) -> None:
        self.client = client
        self.lasts = lasts
        self.in_transaction = False
        self._has_begun = False

    async def begin(self) -> None:
        """Acquire exclusive access, at the first operation."""
        if not self._has_begun:
            await self.client.acquire()
            self._has_begun = True
            self.client.in_transaction = self.in_transaction

    async def start_transaction(self, *_concerns: object) -> None:
        """Start a transaction."""
        self.in_transaction = self.lasts = True

    async def commit_transaction(self) -> None:
        """Keep what was written."""
        await self._end(undo=False)

    async def abort_transaction(self) -> None:
        """Undo what was written."""
        await self._end(undo=True)

    @asynccontextmanager
    async def bind(self) -> AsyncGenerator[None]:
        """Run this task's operations inside the block in the session."""
        token = _bound.set(self)
        try:
            yield
        finally:
            _bound.reset(token)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_error: object) -> None:
        """End the snapshot; a transaction has already ended."""
        await self._end(undo=True)

    async def _end(self, *, undo: bool) -> None:
        self.in_transaction = self.lasts = False
        if self._has_begun:
            self._has_begun = False
            await self.client.release(undo=undo)


_bound: ContextVar[Session | None] = ContextVar("datalayer_memory_session", default=None)
