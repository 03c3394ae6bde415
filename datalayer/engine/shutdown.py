"""Closes an open database: waits for running operations, and cancels those that take too long."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

from datalayer.engine.errors import DatabaseClosedError, OutcomeUnknownError
from datalayer.engine.transactions import LAST_SECONDS


class Shutdown:
    """Tracks the running operations of an open database, and ends them.

    Attributes:
        is_over: True once the database is closed.
    """

    def __init__(self) -> None:
        self.is_over = False
        self._has_begun = False
        self._limits: dict[asyncio.Task[object] | None, asyncio.Timeout] = {}
        self._idle = asyncio.Event()

    @asynccontextmanager
    async def under_way(self) -> AsyncGenerator[None]:
        """Make `finish` wait for the block.

        Raises:
            DatabaseClosedError: The database is already closing.
            OutcomeUnknownError: The block took too long and was cancelled.
        """
        task = asyncio.current_task()
        if task in self._limits:
            # Nested: part of an operation that is already tracked.
            yield
            return
        if self._has_begun:
            raise closed()
        limit = asyncio.timeout(None)
        try:
            async with limit:
                self._limits[task] = limit
                yield
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise OutcomeUnknownError("The database was closed before the server confirmed the change.") from error
        finally:
            del self._limits[task]
            if not self._limits:
                self._idle.set()

    async def finish(self) -> None:
        """Wait for running operations for up to `LAST_SECONDS`, then cancel them and roll back their transactions.

        New operations are rejected from now on.
        """
        self._has_begun = True
        try:
            await self._wait()
        finally:
            # Also when the caller is cancelled and stops waiting.
            for limit in self._limits.values():
                limit.reschedule(asyncio.get_running_loop().time())
            await self._wait()
            self.is_over = True

    async def _wait(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(LAST_SECONDS):
                while self._limits:
                    self._idle.clear()
                    await self._idle.wait()


def closed() -> DatabaseClosedError:
    """Return the error for a call on a closed database."""
    return DatabaseClosedError("The database was closed.", hint="Open it again with `connect` or `over`.")
