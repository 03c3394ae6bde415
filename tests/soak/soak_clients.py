"""Clients that are killed one after the other, and one that works for minutes."""

import asyncio
import time
from statistics import median

from datalayer.server import ReplicaSet
from tests.reliability.load import PATIENCE, Site
from tests.reliability.process import Child
from tests.reliability.world import World
from tests.soak.conftest import SECONDS

KILLS_SHARE = 0.08
STEADY_SHARE = 0.5

WARM = 0.4
"""The part of the time after which a process has what it needs."""

GROWTH_KIB = 8 * 1024
"""How much more memory it may have at the end."""

OBJECTS_GROWTH = 1.05
SLOWER = 2.0
"""How much slower its best moments may be at the end: the machine does other things too."""

LIFETIME = 20
"""Seconds after which the embedded server ends a transaction that nobody ends."""


async def test_killed_clients(servers: ReplicaSet, figures: dict[str, object]) -> None:
    """Each leaves a lock, which the server takes away in its time; the next one goes on with the same world."""
    until, waits = time.monotonic() + KILLS_SHARE * SECONDS, []
    async with Site.open(servers.uri) as site:
        world = await World.create(site.community, site.stories)
        ledger = await site.ledger()
        lines = 0
        while not waits or time.monotonic() < until:
            async with Child.running(servers.uri, world, ledger, f"k{len(waits)}x") as child:
                await child.works(2_000)
                child.kill()
            lines += child.lines
            begun = time.monotonic()
            await site.community.posts.edit(world.still[0], content="hot-3 0")
            waits.append(time.monotonic() - begun)
            assert waits[-1] < LIFETIME + PATIENCE
        await site.assert_sound(ledger)
    figures["killed clients"] = len(waits)
    figures["lines of their ledgers"] = lines
    figures["s until what they locked is written"] = ", ".join(f"{wait:.1f}" for wait in waits)


async def test_steady_work(servers: ReplicaSet, figures: dict[str, object]) -> None:
    """Memory, objects, sessions, connections and the time that an operation takes stay what they are."""
    connections: list[int] = []
    async with Site.open(servers.uri) as site:
        world = await World.create(site.community, site.stories)
        ledger = await site.ledger()
        async with Child.running(servers.uri, world, ledger, "s") as child:
            until = time.monotonic() + STEADY_SHARE * SECONDS
            while time.monotonic() < until:
                assert child.runs
                await asyncio.sleep(1)
                status = await site.client.admin.command("serverStatus")
                connections.append(status["connections"]["current"])
            child.kill()
        await site.community.posts.edit(world.still[0], content="hot-3 0")
        await site.assert_sound(ledger)
    warm = child.reports[int(WARM * len(child.reports)) :]
    quarter = len(warm) // 4
    first, last = warm[:quarter], warm[-quarter:]
    figures["operations"] = warm[-1]["operations"]
    for name in ("rss", "objects", "sessions", "edit", "post"):
        figures[f"{name}, after warm-up and at the end"] = f"{_middle(first, name):.1f}, {_middle(last, name):.1f}"
    figures["connections of the server"] = f"{min(connections[len(connections) // 2 :])} to {max(connections)}"
    assert _middle(last, "rss") < _middle(first, "rss") + GROWTH_KIB
    assert _middle(last, "objects") < OBJECTS_GROWTH * _middle(first, "objects")
    assert max(row["sessions"] for row in last) <= max(row["sessions"] for row in warm[: 2 * quarter])
    assert max(connections[-quarter:]) <= max(connections[: len(connections) // 2])
    for name in ("edit", "post"):
        assert _best(last, name) < SLOWER * _best(first, name)


def _middle(rows: list[dict[str, float]], name: str) -> float:
    return median(row[name] for row in rows if row[name] is not None)


def _best(rows: list[dict[str, float]], name: str) -> float:
    return min(row[name] for row in rows if row[name] is not None)
