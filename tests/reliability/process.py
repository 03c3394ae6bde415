"""A load as a process of its own, which can be killed: `python -m tests.reliability.process URI WORLD NAME TASKS`.

It writes its ledger's journal to its standard output, each line before what it is about is done; and how it is doing.
SIGUSR1 makes it open a transaction that it never ends.
"""

import asyncio
import gc
import json
import signal
import sys
import time
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median
from typing import Any

from tests.reliability.ledger import Ledger
from tests.reliability.load import PATIENCE, TASKS, Load, Site
from tests.reliability.world import World

HOLDING = "holding"
"""The line that says that a transaction has written to the still post, and stays open."""

KEEP = 20_000
"""Registers that the process itself remembers: far more than its tasks go on writing to."""

REPORT_SECONDS = 2

_RSS = 1
_PAGE_KIB = 4


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _rss() -> int:
    return int(Path("/proc/self/statm").read_text().split()[_RSS]) * _PAGE_KIB


async def hold(site: Site, world: World) -> None:
    """Open a transaction that locks the still post, and never end it."""

    async def work() -> None:
        await site.community.posts.edit(world.still[0], content="never")
        _say(HOLDING)
        await asyncio.Event().wait()

    await site.community.transaction(work)


async def report(site: Site, load: Load, ledger: Ledger) -> None:
    """Write from time to time how it is doing. What the ledger remembers is none of the library's objects."""
    while True:
        await asyncio.sleep(REPORT_SECONDS)
        took = {name: 1000 * median(seconds) for name, seconds in load.durations.items()}
        load.durations.clear()
        gc.collect()
        figures = {
            "rss": _rss(),
            "objects": len(gc.get_objects()) - len(ledger),
            "sessions": len(site.client._topology._session_pool),
            "cpu": time.process_time(),
            "operations": load.outcomes.total(),
            "edit": took.get("edit_post"),
            "post": took.get("write_post"),
        }
        _say(json.dumps(figures))


async def main(uri: str, world: World, name: str, tasks: int) -> None:
    """Work until killed."""
    async with Site.open(uri) as site, asyncio.TaskGroup() as group:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGUSR1, lambda: group.create_task(hold(site, world)))
        ledger = Ledger(journal=sys.stdout, keep=KEEP)
        load = Load(site.community, site.stories, world, ledger, name, tasks=tasks)
        group.create_task(report(site, load, ledger))
        await load.run()
        load.check()


class Child:
    """The process, and what it has written so far."""

    def __init__(self, process: Any, ledger: Ledger) -> None:
        self._process, self._ledger = process, ledger
        self.lines = 0
        self.holding = False
        self.reports: list[dict[str, Any]] = []

    @classmethod
    @asynccontextmanager
    async def running(
        cls, uri: str, world: World, ledger: Ledger, name: str = "c", *, tasks: int = TASKS
    ) -> AsyncIterator["Child"]:
        """Start it, and note what it writes in the ledger; it is killed at the end of the block at the latest."""
        command = [sys.executable, "-m", "tests.reliability.process", uri, world.dumped(), name, str(tasks)]
        process = await asyncio.create_subprocess_exec(*command, stdout=PIPE, limit=1 << 20)
        child = cls(process, ledger)
        reading = asyncio.create_task(child._read())
        try:
            yield child
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()
            await reading

    async def works(self, lines: int) -> None:
        """Wait until it has written so many lines."""
        await self._until(lambda: self.lines >= lines)

    async def hold(self) -> None:
        """Let it lock the still post, and wait until it has."""
        self._process.send_signal(signal.SIGUSR1)
        await self._until(lambda: self.holding)

    async def reported(self) -> None:
        """Wait until it says how it is doing."""
        seen = len(self.reports)
        await self._until(lambda: len(self.reports) > seen)

    @property
    def runs(self) -> bool:
        """Whether it has not ended."""
        return self._process.returncode is None

    def kill(self) -> None:
        """`kill -9`."""
        self._process.kill()

    async def _until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not condition():
                assert self.runs
                await asyncio.sleep(0.02)

    async def _read(self) -> None:
        async for line in self._process.stdout:
            # Half a line is what it did not come to do.
            if line.endswith(b"\n"):
                self._note(line.decode())

    def _note(self, line: str) -> None:
        if line.strip() == HOLDING:
            self.holding = True
        elif line.startswith("{"):
            self.reports.append(json.loads(line))
        else:
            self._ledger.replay(line)
            self.lines += 1


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], World.loaded(sys.argv[2]), sys.argv[3], int(sys.argv[4])))
