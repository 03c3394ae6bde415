"""Random composed transactions for minutes, with other choices in each round."""

import time
from collections import Counter

from datalayer import Community
from datalayer.server import ReplicaSet
from tests.reliability.composed import HotDocuments
from tests.reliability.runner import TASKS, together
from tests.reliability.test_composed import LONGEST
from tests.soak.conftest import SECONDS

SHARE = 0.1
TIMES = 40


async def test_composed_transactions(servers: ReplicaSet, figures: dict[str, object]) -> None:
    """Each round is checked: nothing is lost, nothing is left of what was undone, and nobody waits long."""
    until, outcomes, longest, rounds = time.monotonic() + SHARE * SECONDS, Counter[str](), 0.0, 0
    uri = servers.uri.replace("/?", "/composed?")
    async with Community.connect(uri) as community:
        hot = await HotDocuments.create(community)
        while not rounds or time.monotonic() < until:
            found = await together(community, uri, hot, f"r{rounds}p", tasks=TASKS, times=TIMES)
            assert found.wrong == []
            assert found.problems == []
            outcomes += found.outcomes
            longest, rounds = max(longest, found.longest), rounds + 1
    assert longest < LONGEST
    figures["rounds"] = rounds
    figures["transactions"] = ", ".join(f"{number} {outcome}" for outcome, number in outcomes.items())
    figures["s of the longest"] = f"{longest:.1f}"
