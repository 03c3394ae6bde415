"""Provides databases for tests: on an embedded server, on a running server, or in memory."""

import asyncio
from collections.abc import AsyncGenerator, Generator
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    AsyncExitStack,
    asynccontextmanager,
    closing,
    contextmanager,
)
from typing import Any, Protocol, TypeVar

from pymongo import AsyncMongoClient

from datalayer.database import Database
from datalayer.engine.clock import Clock, system_clock
from datalayer.errors import NotSupportedInMemory
from datalayer.server import embedded_server
from datalayer.testing.commands import CommandLog
from datalayer.testing.isolation import IsolatedDatabase

D = TypeVar("D", bound=Database)
T = TypeVar("T")


class Sandbox(Protocol):
    """Provides empty databases for each test."""

    @property
    def uri(self) -> str:
        """The URI of the databases. Every client that connects to it works on the same data."""
        ...

    def opened(self, kind: type[D], clock: Clock) -> AbstractContextManager[D]:
        """Open an empty database of this kind for one test."""
        ...


class _Memory:
    """Databases in memory, a new one for each request."""

    def __init__(self, runner: asyncio.Runner) -> None:
        self._runner = runner

    @property
    def uri(self) -> str:
        """Raise an error: there is no URI."""
        raise NotSupportedInMemory("Databases in memory have no URI: there is no server to connect to.")

    def opened(self, kind: type[D], clock: Clock) -> AbstractContextManager[D]:
        """Open a database in memory."""
        from datalayer.testing.memory import open_in_memory  # noqa: PLC0415 - it needs the `memory` extra

        return _entered(open_in_memory(kind, clock), self._runner)


@contextmanager
def open_sandbox(uri: str | None = None, *, memory: bool = False) -> Generator[Sandbox]:
    """Open a sandbox in memory, on the server at the URI, or on an embedded server. No event loop may be running.

    Raises:
        ServerNotFoundError: No `mongod` program was found; the hint says how to get one.
        ServerStartError: The server did not start; the message says why.
    """
    # This loop never becomes the current loop of the thread, which belongs to the test.
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        if memory:
            yield _Memory(runner)
        elif uri is not None:
            with closing(IsolatedDatabase(uri, runner, is_ours=False)) as database:
                yield database
        else:
            with _entered(embedded_server(), runner) as own, closing(IsolatedDatabase(own, runner, is_ours=True)) as it:
                yield it


@contextmanager
def _entered(context: AbstractAsyncContextManager[T], runner: asyncio.Runner) -> Generator[T]:
    stack = AsyncExitStack()
    try:
        yield runner.run(stack.enter_async_context(context))
    finally:
        runner.run(stack.aclose())


@asynccontextmanager
async def open_database(kind: type[D], *, memory: bool = False, clock: Clock | None = None) -> AsyncGenerator[D]:
    """Open a new, empty database for the block.

    ```python
    async with open_database(Community) as community:
        ...
    ```

    By default it runs on its own embedded server, which takes about a second to start (the fixtures of the pytest
    plugin share one). A database in memory takes milliseconds, but it is a mock without conflicts: it suits tests of
    code that simply reads and writes, and proves no rule of the data. Operations that it cannot do like a server are
    rejected.

    Args:
        kind: `Community`, `Stories` or your own product.
        memory: Use a database in memory (extra `memory`) instead of a server (extra `embedded`).
        clock: Returns the current time in Unix milliseconds. Defaults to the system time.

    Raises:
        ServerNotFoundError: No `mongod` program was found; the hint says how to get one.
        ServerStartError: The server did not start; the message says why.
        MissingExtraError: The extra `memory` is not installed.
        NotSupportedInMemory: Raised by any call that the mock cannot run correctly.
    """
    clock = clock or system_clock
    if memory:
        from datalayer.testing.memory import open_in_memory  # noqa: PLC0415 - it needs the `memory` extra

        async with open_in_memory(kind, clock) as database:
            yield database
        return
    async with (
        embedded_server() as uri,
        AsyncMongoClient[dict[str, Any]](uri, event_listeners=[CommandLog()]) as client,
        kind.over(client[kind.default_name], clock=clock) as database,
    ):
        yield database
