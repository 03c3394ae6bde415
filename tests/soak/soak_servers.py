"""Servers that go down again and again, in every way, while a load is on."""

import random
import time
from collections import Counter, defaultdict
from statistics import median

import pytest

from datalayer.server import ReplicaSet
from tests.reliability.faults import FAULTS
from tests.reliability.load import Site
from tests.reliability.world import World
from tests.soak.conftest import SECONDS

SHARE = 0.2
FAULTS_IN_A_ROUND = 5


@pytest.mark.parametrize("servers", [1, 3], indirect=True)
async def test_faults(servers: ReplicaSet, figures: dict[str, object]) -> None:
    """In rounds: a load, some faults; then everything is looked at."""
    until, choice = time.monotonic() + SHARE * SECONDS, random.Random(len(servers.nodes))  # noqa: S311 - no secret
    outcomes: Counter[str] = Counter()
    gaps: defaultdict[str, list[float]] = defaultdict(list)
    async with Site.open(servers.uri) as site:
        world = await World.create(site.community, site.stories)
        ledger = await site.ledger()
        number = 0
        while time.monotonic() < until:
            async with site.load(world, ledger, f"r{number}x") as load:
                await load.everybody_wrote()
                for _ in range(FAULTS_IN_A_ROUND):
                    fault = choice.choice(FAULTS)
                    await fault(servers, load)
                    gaps[fault.__name__] += load.gaps()
                    load.mark()
                    await load.everybody_wrote()
            await site.assert_sound(ledger)
            outcomes += load.outcomes
            number += 1
        figures["rounds"] = number
        figures |= {**outcomes, **{f"commands {name}": count for name, count in site.attempts.counts.items()}}
        figures |= {f"{name}, s to a write of each task": _spread(found) for name, found in sorted(gaps.items())}
        figures["connections of the primary"] = (await site.client.admin.command("serverStatus"))["connections"][
            "current"
        ]


def _spread(gaps: list[float]) -> str:
    return f"first {min(gaps):.2f}, median {median(gaps):.2f}, last {max(gaps):.2f}"
