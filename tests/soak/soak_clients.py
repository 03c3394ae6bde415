"""Clients that are killed one after the other, and one that works for minutes."""

import os
import time
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

from datalayer.server import Node, ReplicaSet
from tests.reliability.load import PATIENCE, TASKS, Site
from tests.reliability.process import Child
from tests.reliability.world import World
from tests.soak.conftest import SECONDS

KILLS_SHARE = 0.08
STEADY_SHARE = 0.5

WARM = 40_000
"""The lines of its ledger, two for a write, after which a process, and the database, have what they need."""

GROWTH_KIB = 12 * 1024
"""How much more memory it may have at the end; its ledger takes some more until it forgets as much as it notes."""

OBJECTS_GROWTH = 1.05
CPU_GROWTH = 1.5
"""How much more processor time an operation may cost at the end, of the client or of the server, at its best.

Not how long it takes, and not on an average: a machine that does other things too makes both half as good.
"""

SOCKETS = 2 * TASKS + 16
"""More connections, or sessions, than two processes have at any moment; each has some that watch the server."""

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
                await child.hold()
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
    """Memory, objects, sessions, connections, and what an operation costs the processors stay what they are."""
    async with Site.open(servers.uri) as site:
        world = await World.create(site.community, site.stories)
        ledger = await site.ledger()
        async with Child.running(servers.uri, world, ledger, "s") as child:
            while child.lines < WARM:
                await child.reported()
            until = time.monotonic() + STEADY_SHARE * SECONDS
            while time.monotonic() < until:
                seen = len(child.reports)
                await child.reported()
                for row in child.reports[seen:]:
                    status = await site.client.admin.command("serverStatus")
                    row["connections"] = status["connections"]["current"]
                    row["server cpu"] = _cpu_seconds(servers.nodes[0])
            child.kill()
        await site.assert_sound(ledger)
    rows = [row for row in child.reports if "server cpu" in row]
    first, last = rows[: len(rows) // 4], rows[-(len(rows) // 4) :]
    figures["operations"] = last[-1]["operations"]
    for name in ("rss", "objects", "sessions", "connections", "edit", "post"):
        figures[f"{name}, after warm-up and at the end"] = f"{_middle(first, name):,.1f}, {_middle(last, name):,.1f}"
    for name in ("cpu", "server cpu"):
        figures[f"{name} of 1,000 operations, at best, s"] = f"{_cost(first, name):.2f}, {_cost(last, name):.2f}"
    assert _middle(last, "rss") < _middle(first, "rss") + GROWTH_KIB
    assert _middle(last, "objects") < OBJECTS_GROWTH * _middle(first, "objects")
    for name in ("sessions", "connections"):
        assert max(row[name] for row in last) <= SOCKETS
    for name in ("cpu", "server cpu"):
        assert _cost(last, name) < CPU_GROWTH * _cost(first, name), name


def _middle(rows: list[dict[str, Any]], name: str) -> float:
    return median(row[name] for row in rows if row[name] is not None)


def _cost(rows: list[dict[str, Any]], name: str) -> float:
    """Seconds for 1,000 operations, between those two reports where they were cheapest."""
    return min(
        1000 * (after[name] - before[name]) / (after["operations"] - before["operations"])
        for before, after in pairwise(rows)
    )


def _cpu_seconds(node: Node) -> float:
    user, system = Path(f"/proc/{node.pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")
