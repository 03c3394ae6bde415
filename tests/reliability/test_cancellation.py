"""Tasks that are cancelled while they wait for the driver."""

import asyncio
import re
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pymongo.lock
import pymongo.network_layer
import pymongo.pool_shared
import pytest
from pymongo import AsyncMongoClient
from pymongo.monitoring import CommandFailedEvent, CommandListener, CommandStartedEvent, CommandSucceededEvent

from datalayer import Community
from tests.reliability.load import PATIENCE


async def test_a_cancelled_wait_for_a_server_leaves_the_client_usable() -> None:
    """Also where it is cancelled as it looks again, and has to take the driver's lock for that."""
    async with AsyncMongoClient("127.0.0.1", 1) as client, asyncio.timeout(PATIENCE):
        waiting = asyncio.create_task(client.test.things.insert_one({}))
        condition, lock = client._topology._condition, client._topology._lock
        while not condition._waiters:  # noqa: ASYNC110 - the driver gives no event
            await asyncio.sleep(0)
        async with lock:
            # Each half second it takes the lock, to look again.
            while condition._waiters:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            waiting.cancel()
            for _ in range(10):
                await asyncio.sleep(0)
            # Its block would give back a lock that it does not have, and nobody the one that is taken for it later.
            assert not waiting.done()
        with pytest.raises(asyncio.CancelledError):
            await waiting


STEPS = 12
"""How many iterations of the event loop after a command has begun its caller is cancelled, at most."""


class Canceller(CommandListener):
    """Cancels the task whose command has begun, some iterations of the event loop later."""

    def __init__(self) -> None:
        self._target: tuple[asyncio.Task[Any], int, str] | None = None
        self.has_cancelled = False

    @contextmanager
    def armed(self, task: asyncio.Task[Any], steps: int, command: str) -> Iterator[None]:
        """Cancel the task at its next command of this name."""
        self._target, self.has_cancelled = (task, steps, command), False
        yield
        self._target = None

    def started(self, event: CommandStartedEvent) -> None:
        """The driver sends the command when this returns."""
        if self._target is not None and self._target[2] == event.command_name:
            task, steps, _ = self._target
            self._target = None
            _after(steps, lambda: self._cancel(task))

    def succeeded(self, event: CommandSucceededEvent) -> None:
        """Of no interest."""

    def failed(self, event: CommandFailedEvent) -> None:
        """Of no interest."""

    def _cancel(self, task: asyncio.Task[Any]) -> None:
        self.has_cancelled = task.cancel()


def _after(steps: int, action: Callable[[], object]) -> None:
    if steps:
        asyncio.get_running_loop().call_soon(_after, steps - 1, action)
    else:
        action()


async def test_no_cancellation_is_lost(server_uri: str) -> None:
    """Whoever is cancelled does not go on, at whatever moment of a command that was: it is sent, and then awaited.

    The driver uses `wait_for` where there is a time limit, as in transactions, or in the URI.
    """
    canceller = Canceller()
    client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(
        server_uri, event_listeners=[canceller], socketTimeoutMS=20_000
    )
    swallowed: list[tuple[str, int]] = []
    async with client, Community.over(client["cancellations"]) as community:
        user = await community.users.create()
        calls: list[tuple[str, Callable[[], Awaitable[object]]]] = [
            ("insert", community.users.create),
            ("find", lambda: community.users.get(user.id)),
            ("insert", lambda: community.transaction(community.users.create)),
            ("commitTransaction", lambda: community.transaction(community.users.create)),
        ]
        for command, call in calls:
            for steps in range(STEPS):
                task: asyncio.Task[object] = asyncio.ensure_future(call())  # type: ignore[arg-type]
                with canceller.armed(task, steps, command):
                    await asyncio.wait([task])
                if canceller.has_cancelled and not task.cancelled():
                    swallowed.append((command, steps))
        await client.drop_database("cancellations")
    assert not swallowed


@pytest.mark.parametrize("module", [pymongo.lock, pymongo.network_layer, pymongo.pool_shared], ids=lambda m: m.__name__)
async def test_a_cancellation_survives_what_is_done_at_once(module: Any) -> None:
    """Each wait of the driver passes it on, also where what it waits for is over in the same moment."""
    wait_for = module.wait_for if hasattr(module, "wait_for") else module.asyncio.wait_for

    async def done() -> None:
        pass

    async def waiting() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await wait_for(done(), 10)
        await asyncio.sleep(0)

    task = asyncio.create_task(waiting())
    await asyncio.wait([task])
    assert task.cancelled()


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="its wait_for does what it should")
def test_every_wait_of_the_driver_is_replaced() -> None:
    """A version of the driver that waits in more places is noticed; client-side encryption is not used here."""
    root = Path(pymongo.__file__).parent
    calling = {
        path.relative_to(root).as_posix()
        for path in root.rglob("*.py")
        if "kms" not in path.name
        and re.search(r"^(?!\s*#).*(asyncio\.wait_for\(|import wait_for)", path.read_text(), re.MULTILINE)
    }
    assert calling == {"lock.py", "network_layer.py", "pool_shared.py"}
