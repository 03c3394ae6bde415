"""Sessions and transactions: they run one after the other, and what one has written can be taken back."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from types import TracebackType
from typing import Self, TypeVar

from datalayer.testing.memory.language import unsupported

T = TypeVar("T")

WAIT_SECONDS = 30.0
"""How long an operation waits for the transaction of another task; as long as a transaction is tried again."""

Undo = Callable[[], Awaitable[None]]


class Client:
    """Who may read and write at the moment.

    From its first operation to its end, a transaction has all of the data to itself, and so has a snapshot: nobody sees
    what may yet be undone, and nothing changes that was read. It costs nothing where nobody waits for anything inside.
    """

    def __init__(self) -> None:
        self.journal: list[Undo] | None = None
        """What undoes the writes of the transaction that is open, in their order."""
        self._lock = asyncio.Lock()

    def start_session(self, *, snapshot: bool = False) -> "Session":
        """A session; the same moment is seen by all that is read in one for a snapshot."""
        return Session(self, snapshot=snapshot)

    @asynccontextmanager
    async def turn(self) -> AsyncGenerator[None]:
        """For one operation: as a part of the transaction or snapshot that the task is in, or by itself."""
        session = _bound.get()
        if session is not None and session.client is self and session.lasts:
            await session.begin()
            yield
            return
        await self.acquire()
        try:
            yield
        finally:
            self.release()

    def wrote(self, undo: Undo) -> None:
        """Remember how to undo a write, as long as that may happen."""
        if self.journal is not None:
            self.journal.append(undo)

    async def acquire(self) -> None:
        """Have the data to oneself."""
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await self._lock.acquire()
        except TimeoutError:
            raise unsupported(f"waiting more than {WAIT_SECONDS} s for the transaction of another task") from None

    def release(self) -> None:
        """Let others have it."""
        self._lock.release()


class Session:
    """What the driver calls a session, as far as the data layer uses it."""

    def __init__(self, client: Client, *, snapshot: bool) -> None:
        self.client = client
        self.in_transaction = False
        self._snapshot = snapshot
        self._has_begun = False

    @property
    def lasts(self) -> bool:
        """Whether its operations belong together."""
        return self.in_transaction or self._snapshot

    async def begin(self) -> None:
        """Have the data to itself, from its first operation on."""
        if not self._has_begun:
            await self.client.acquire()
            self._has_begun = True
            self.client.journal = [] if self.in_transaction else None

    async def start_transaction(self, **_concerns: object) -> None:
        """What follows is a transaction."""
        self.in_transaction = True

    async def commit_transaction(self) -> None:
        """What was written stays."""
        self._end()

    async def abort_transaction(self) -> None:
        """What was written is undone."""
        if self._has_begun:
            for undo in reversed(self.client.journal or ()):
                await undo()
        self._end()

    async def with_transaction(self, callback: Callable[["Session"], Awaitable[T]], **_concerns: object) -> T:
        """Run the callback in a transaction, which is ended here where that has not been done there."""
        await self.start_transaction()
        try:
            result = await callback(self)
        except BaseException:
            if self.in_transaction:
                await self.abort_transaction()
            raise
        if self.in_transaction:
            await self.commit_transaction()
        return result

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

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the snapshot; a transaction has ended already."""
        self._end()

    def _end(self) -> None:
        self.in_transaction = False
        if self._has_begun:
            self._has_begun = False
            self.client.journal = None
            self.client.release()


_bound: ContextVar[Session | None] = ContextVar("datalayer_memory_session", default=None)
