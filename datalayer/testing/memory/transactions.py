"""Sessions and transactions: they run one after the other, and what one has written can be taken back."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from types import TracebackType
from typing import Self, TypeVar

from datalayer.testing.memory.values import unsupported

T = TypeVar("T")

WAIT_SECONDS = 30.0
"""How long an operation waits for the transaction of another task; as long as a transaction is tried again."""

Undo = Callable[[], None]


class Client:
    """Who may read and write at the moment.

    A transaction, and a snapshot, has all of the data to itself: nobody sees what may yet be undone, and nothing that
    it has read changes. Nothing is lost by that, since operations in memory wait for nothing else.
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
        """For one operation: at once within what has the data to itself, else when nobody has."""
        session = _bound.get()
        if session is not None and session.client is self and session.is_alone:
            yield
            return
        async with self.alone():
            yield

    @asynccontextmanager
    async def alone(self) -> AsyncGenerator[None]:
        """Have the data to oneself."""
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await self._lock.acquire()
        except TimeoutError:
            raise unsupported(
                f"waiting for more than {WAIT_SECONDS:.0f} s for the transaction of another task"
            ) from None
        try:
            yield
        finally:
            self._lock.release()


class Session:
    """What the driver calls a session, as far as the data layer uses it."""

    def __init__(self, client: Client, *, snapshot: bool) -> None:
        self.client = client
        self.is_alone = False
        self._snapshot = snapshot

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing is left to end."""

    @asynccontextmanager
    async def bind(self) -> AsyncGenerator[None]:
        """What this task does inside belongs to the session."""
        token = _bound.set(self)
        try:
            if self._snapshot:
                async with self._alone():
                    yield
            else:
                yield
        finally:
            _bound.reset(token)

    async def with_transaction(self, callback: Callable[["Session"], Awaitable[T]], **_concerns: object) -> T:
        """Run the callback: all that it writes stays, or nothing does where it raises."""
        async with self._alone():
            journal = self.client.journal = []
            try:
                return await callback(self)
            except BaseException:
                for undo in reversed(journal):
                    undo()
                raise
            finally:
                self.client.journal = None

    @asynccontextmanager
    async def _alone(self) -> AsyncGenerator[None]:
        async with self.client.alone():
            self.is_alone = True
            try:
                yield
            finally:
                self.is_alone = False


_bound: ContextVar[Session | None] = ContextVar("datalayer_memory_session", default=None)
