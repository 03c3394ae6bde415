"""Sessions and transactions: they run one after the other, and what one has written can be taken back."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Protocol, Self

from datalayer.testing.memory.language import Wire, unsupported

WAIT_SECONDS = 30.0
"""How long an operation waits for the transaction of another task; as long as a transaction is tried again."""


class Written(Protocol):
    """A collection whose documents can be taken back."""

    async def restore(self, wires: list[Wire]) -> None:
        """Let these be the documents."""


class Client:
    """Who may read and write at the moment: one operation, or a transaction or snapshot from its first one on."""

    def __init__(self) -> None:
        self.in_transaction = False
        self._before: dict[Written, list[Wire]] = {}
        self._lock = asyncio.Lock()

    def start_session(self, *, snapshot: bool = False) -> "Session":
        """A session; the same moment is seen by all that is read in one for a snapshot."""
        return Session(self, lasts=snapshot)

    @asynccontextmanager
    async def turn(self) -> AsyncGenerator[None]:
        """For one operation: as a part of the one that it is made of, of a transaction or snapshot, or by itself."""
        # Nothing here waits for a network: without this, who works on and on would let nobody else do anything.
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
        """Have the data to oneself."""
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await self._lock.acquire()
        except TimeoutError:
            raise unsupported(f"waiting more than {WAIT_SECONDS} s for the transaction of another task") from None

    def wrote(self, collection: Written, before: list[Wire]) -> None:
        """Remember the documents that the transaction found in a collection."""
        if self.in_transaction:
            self._before.setdefault(collection, before)

    async def release(self, *, undo: bool) -> None:
        """Let others have it."""
        for collection, wires in self._before.items():
            if undo:
                await collection.restore(wires)
        self._before, self.in_transaction = {}, False
        self._lock.release()


class Session:
    """What the driver calls a session, as far as the data layer uses it."""

    def __init__(self, client: Client, *, lasts: bool) -> None:
        self.client = client
        self.lasts = lasts
        self.in_transaction = False
        self._has_begun = False

    async def begin(self) -> None:
        """Have the data to itself, from its first operation on."""
        if not self._has_begun:
            await self.client.acquire()
            self._has_begun = True
            self.client.in_transaction = self.in_transaction

    async def start_transaction(self, *_concerns: object) -> None:
        """What follows is a transaction."""
        self.in_transaction = self.lasts = True

    async def commit_transaction(self) -> None:
        """What was written stays."""
        await self._end(undo=False)

    async def abort_transaction(self) -> None:
        """What was written is undone."""
        await self._end(undo=True)

    @asynccontextmanager
    async def bind(self) -> AsyncGenerator[None]:
        """What this task does inside belongs to the session."""
        token = _bound.set(self)
        try:
            yield
        finally:
            _bound.reset(token)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_error: object) -> None:
        """End the snapshot; a transaction has ended already."""
        await self._end(undo=True)

    async def _end(self, *, undo: bool) -> None:
        self.in_transaction = self.lasts = False
        if self._has_begun:
            self._has_begun = False
            await self.client.release(undo=undo)


_bound: ContextVar[Session | None] = ContextVar("datalayer_memory_session", default=None)
