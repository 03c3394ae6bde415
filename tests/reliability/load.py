"""Many tasks that work on one world at once, and what became of it."""

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from pymongo import AsyncMongoClient

from datalayer import Community, Stories
from datalayer.engine.client import SERVER_SELECTION_MS
from datalayer.errors import DataLayerError, OutcomeUnknownError, UnavailableError
from tests.reliability.commands import Attempts
from tests.reliability.ledger import Ledger
from tests.reliability.observed import observed, unrewarded
from tests.reliability.operations import choose
from tests.reliability.worker import Operation, Worker
from tests.reliability.world import World
from tests.seeding.invariants import violations
from tests.seeding.rows import Data

TASKS = 32
SOME_TASKS = 8
"""Enough to write to the same documents at once, and much faster to get all of them going again."""

PATIENCE = 120
"""Seconds that a busy machine may take for anything at all."""

DATABASE = "load"

Client = AsyncMongoClient[dict[str, Any]]


class Load:
    """The tasks of one process.

    Attributes:
        outcomes: How many operations were `acknowledged`, `refused` by a rule, `failed`, or ended `unknown`.
        problems: What no server and no rule explains.
        durations: How many seconds the acknowledged operations took, by name.
    """

    def __init__(
        self,
        community: Community,
        stories: Stories,
        world: World,
        ledger: Ledger,
        name: str,
        *,
        tasks: int = TASKS,
    ) -> None:
        self.outcomes: Counter[str] = Counter()
        self.problems: list[str] = []
        self.durations: defaultdict[str, list[float]] = defaultdict(list)
        self.workers = [Worker(f"{name}{n}", world, community, stories, ledger) for n in range(tasks)]
        self._stopping = False
        self._done: Counter[str] = Counter()
        self._since = 0.0
        self._gaps: dict[str, float] = {}

    def mark(self) -> None:
        """From this moment on: `everybody_wrote` and `gaps` look at what begins later."""
        self._since = time.monotonic()
        self._gaps.clear()
        self._done.clear()

    def gaps(self) -> list[float]:
        """Seconds from the mark to each task's first acknowledged write that began after it, in ascending order."""
        return sorted(self._gaps.values())

    async def everybody_wrote(self, times: int = 1) -> None:
        """Wait until each task has so many acknowledged writes that began after the mark."""
        async with asyncio.timeout(PATIENCE):
            while any(self._done[worker.name] < times for worker in self.workers):
                self.check()
                await asyncio.sleep(0.02)

    async def run(self) -> None:
        """Work until `stop`."""
        async with asyncio.TaskGroup() as tasks:
            for worker in self.workers:
                tasks.create_task(self._work(worker))

    def stop(self) -> None:
        """Let each task finish what it is doing."""
        self._stopping = True

    def check(self) -> None:
        """There is no problem."""
        assert not self.problems, self.problems[:5]

    async def _work(self, worker: Worker) -> None:
        while not self._stopping:
            operation, begun = choose(worker), time.monotonic()
            outcome = await self.outcome(worker, operation)
            self.outcomes[outcome] += 1
            if outcome != "acknowledged":
                continue
            now = time.monotonic()
            self.durations[operation.run.__name__].append(now - begun)
            if operation.writes and begun >= self._since:
                self._gaps.setdefault(worker.name, now - self._since)
                self._done[worker.name] += 1

    async def outcome(self, worker: Worker, operation: Operation) -> str:
        """Do the operation, and say how it ended."""
        try:
            await operation.run(worker)
        except operation.refusals:
            return "refused"
        except OutcomeUnknownError:
            return "unknown"
        except UnavailableError:
            return "failed"
        except (DataLayerError, AssertionError) as error:
            self.problems.append(f"{worker.name}, {operation.run.__name__}: {type(error).__name__}: {error}")
            return "problem"
        return "acknowledged"


class Site:
    """A client of a set of servers, with both databases open in one."""

    def __init__(self, client: Client, attempts: Attempts, community: Community, stories: Stories) -> None:
        self.client, self.attempts, self.community, self.stories = client, attempts, community, stories

    @classmethod
    @asynccontextmanager
    async def open(cls, uri: str) -> AsyncIterator["Site"]:
        """As `connect` opens it, with one client for both."""
        attempts = Attempts()
        async with (
            Client(uri, serverSelectionTimeoutMS=SERVER_SELECTION_MS, event_listeners=[attempts]) as client,
            Community.over(client[DATABASE]) as community,
            Stories.over(client[DATABASE]) as stories,
        ):
            yield cls(client, attempts, community, stories)

    async def data(self) -> Data:
        """All rows."""
        return await Data.read(self.community._connection.database)

    async def ledger(self) -> Ledger:
        """A ledger that begins with what is there."""
        return Ledger(observed(await self.data()))

    @asynccontextmanager
    async def load(self, world: World, ledger: Ledger, name: str = "a", *, tasks: int = TASKS) -> AsyncIterator[Load]:
        """A load that works while the block runs."""
        load = Load(self.community, self.stories, world, ledger, name, tasks=tasks)
        load.mark()
        running = asyncio.create_task(load.run())
        try:
            yield load
        except BaseException:
            running.cancel()
            raise
        finally:
            load.stop()
            async with asyncio.timeout(PATIENCE):
                await asyncio.gather(running, return_exceptions=True)
        await running
        load.check()

    async def assert_sound(self, ledger: Ledger) -> None:
        """Nothing acknowledged is lost, nothing else is there, every rule holds, nothing is left open."""
        data = await self.data()
        assert ledger.differences(observed(data)) == []
        assert unrewarded(data) == []
        assert await violations(self.community.database, needs_admin=True) == []
        await self.nothing_open()

    async def nothing_open(self, seconds: float = PATIENCE) -> None:
        """Wait until no transaction is open and no socket is in use."""
        async with asyncio.timeout(seconds):
            while await self.open_transactions() or self.busy_sockets():  # noqa: ASYNC110 - the server gives no event
                await asyncio.sleep(0.05)

    async def open_transactions(self) -> int:
        """How many transactions the primary has open."""
        status = await self.client.admin.command("serverStatus")
        return status["transactions"]["currentOpen"]

    def busy_sockets(self) -> int:
        """How many sockets of the client are checked out."""
        return sum(server.pool.active_sockets for server in self.client._topology._servers.values())
