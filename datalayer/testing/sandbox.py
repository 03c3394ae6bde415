"""Where the databases of tests are: on an embedded server, on one that runs already, or in memory."""

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
    """What gives each test databases that are empty."""

    @property
    def uri(self) -> str:
        """Where they are: who else connects there works on the same data."""
        ...

    def opened(self, kind: type[D], clock: Clock) -> AbstractContextManager[D]:
        """An empty database of this kind, for one test."""
        ...


class _Memory:
    """Databases in memory, one for each time that one is asked for."""

    def __init__(self, runner: asyncio.Runner) -> None:
        self._runner = runner

    @property
    def uri(self) -> str:
        """There is none."""
        raise NotSupportedInMemory("Databases in memory have no URI: there is no server to connect to.")

    def opened(self, kind: type[D], clock: Clock) -> AbstractContextManager[D]:
        """A database in memory."""
        from datalayer.testing.memory import open_in_memory  # noqa: PLC0415 - it needs the `memory` extra

        return _entered(open_in_memory(kind, clock), self._runner)


@contextmanager
def open_sandbox(uri: str | None = None, *, memory: bool = False) -> Generator[Sandbox]:
    """A sandbox in memory, on the server at the URI, or on an embedded server. No event loop may run.

    Raises:
        ServerNotFoundError: There is no `mongod` program; the hint says how to get one.
        ServerStartError: It did not start; the message says why.
    """
    # It never becomes the thread's current loop, which is the test's.
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
    """An empty database of its own, for as long as the block lasts.

    ```python
    async with open_database(Community) as community:
        ...
    ```

    On an embedded server of its own, which takes about a second to start: the pytest plugin's fixtures share one. In
    memory it takes milliseconds; but that is a mock in which nothing conflicts, so it serves tests of code that reads
    and writes plainly, and proves no rule. What it cannot do as a server does is refused.

    Args:
        kind: `Community`, `Stories`, or a product of your own.
        memory: In memory (the extra `memory`), or on a server (the extra `embedded`).
        clock: Gives Unix milliseconds; the system's time by default.

    Raises:
        ServerNotFoundError: There is no `mongod` program; the hint says how to get one.
        ServerStartError: It did not start; the message says why.
        NotSupportedInMemory: From anything that the mock cannot do rightly.
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
