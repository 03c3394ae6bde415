"""Holding a client back at one of its commands while another client works."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from pymongo import AsyncMongoClient
from pymongo.monitoring import CommandFailedEvent, CommandListener, CommandStartedEvent, CommandSucceededEvent
from pymongo.uri_parser import parse_uri

from datalayer import Community, Stories
from tests.faults.proxy import Proxy, at_once

Call = Callable[[], Awaitable[Any]]

PATIENCE = 1.0
"""How long the second call is given while the first is held: it may wait inside the server for the first one's lock."""

_STEPS = {"find", "aggregate", "insert", "update", "delete", "findAndModify", "commitTransaction"}
_CONFLICT = 112


class Two:
    """Two clients of one database: the first can be held back, the second works meanwhile.

    Attributes:
        first: Both databases of the client that can be held.
        second: Those of the other one.
    """

    def __init__(
        self, first: tuple[Community, Stories], second: tuple[Community, Stories], proxy: Proxy, conflicts: "_Conflicts"
    ) -> None:
        self.first, self.second = first, second
        self._proxy, self._conflicts = proxy, conflicts

    async def interleave(self, first: Call, second: Call, at: int) -> list[Any] | None:
        """Make both calls: the second while the first is held at its command number `at`, from 0.

        Returns what both gave or raised; `None` where the first sends no more than `at` commands, and the second call
        was not made.
        """
        reached, go_on, steps = asyncio.Event(), asyncio.Event(), -1

        async def hold(command: str) -> None:
            nonlocal steps
            steps += command in _STEPS
            if steps == at and not reached.is_set():
                reached.set()
                await go_on.wait()

        self._proxy.before = hold
        self._conflicts.met.clear()
        running = asyncio.ensure_future(first())
        waiting = [asyncio.ensure_future(reached.wait())]
        try:
            await asyncio.wait([running, *waiting], return_when=asyncio.FIRST_COMPLETED)
            if not reached.is_set():
                await asyncio.wait([running])
                return None
            other = asyncio.ensure_future(second())
            waiting.append(asyncio.ensure_future(self._conflicts.met.wait()))
            await asyncio.wait([other, waiting[-1]], timeout=PATIENCE, return_when=asyncio.FIRST_COMPLETED)
            go_on.set()
            return await asyncio.gather(running, other, return_exceptions=True)
        finally:
            for task in waiting:
                task.cancel()
            self._proxy.before = at_once


class _Conflicts(CommandListener):
    """Sees that a transaction met another one.

    Attributes:
        met: Whether that has happened.
    """

    def __init__(self) -> None:
        self.met = asyncio.Event()

    def started(self, event: CommandStartedEvent) -> None:
        """Of no interest."""

    def succeeded(self, event: CommandSucceededEvent) -> None:
        """Of no interest."""

    def failed(self, event: CommandFailedEvent) -> None:
        """A command failed."""
        if event.failure.get("code") == _CONFLICT:
            self.met.set()


@asynccontextmanager
async def opened(uri: str, name: str) -> AsyncIterator[Two]:
    """Two clients of the database of that name, whose schema is there."""
    conflicts, proxy = _Conflicts(), Proxy(parse_uri(uri)["nodelist"][0][1])
    async with proxy.listening() as port:
        through = f"mongodb://127.0.0.1:{port}/?directConnection=true&serverMonitoringMode=poll"
        async with (
            AsyncMongoClient[dict[str, Any]](through) as held,
            AsyncMongoClient[dict[str, Any]](uri, event_listeners=[conflicts]) as free,
            _databases(held, name) as first,
            _databases(free, name) as second,
        ):
            yield Two(first, second, proxy, conflicts)


@asynccontextmanager
async def _databases(client: AsyncMongoClient[dict[str, Any]], name: str) -> AsyncIterator[tuple[Community, Stories]]:
    async with (
        Community.over(client[name], schema="skip") as community,
        Stories.over(client[name], schema="skip") as stories,
    ):
        yield community, stories
