"""The end of an open database: what is under way is waited for, and broken off where it takes too long."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

from datalayer.engine.errors import DatabaseClosedError, OutcomeUnknownError
from datalayer.engine.transactions import LAST_SECONDS


class Shutdown:
    """What is under way on an open database, and its end.

    Attributes:
        is_over: Whether the database is closed.
    """

    def __init__(self) -> None:
        self.is_over = False
        self._has_begun = False
        self._limits: dict[asyncio.Task[object] | None, asyncio.Timeout] = {}
        self._idle = asyncio.Event()

    @asynccontextmanager
    async def under_way(self) -> AsyncGenerator[None]:
        """Let the end of the database wait for the block.

        Raises:
            DatabaseClosedError: It ends already.
            OutcomeUnknownError: The block took too long, and was broken off.
        """
        task = asyncio.current_task()
        if task in self._limits:
            # A part of what is under way.
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
        """Wait for what is under way, for `LAST_SECONDS` at most, then break it off; its transactions are undone.

        What begins after this is refused.
        """
        self._has_begun = True
        try:
            await self._wait()
        finally:
            # Also where the caller is cancelled and does not wait any longer.
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
    """The error for what is asked of a database that is closed."""
    return DatabaseClosedError("The database was closed.", hint="Open it again with `connect` or `over`.")
