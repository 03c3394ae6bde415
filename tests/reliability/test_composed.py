"""Random methods in random transactions, in several processes at once; then everything is recounted."""

from datalayer import Community
from tests.reliability.composed import HotDocuments
from tests.reliability.runner import TASKS, TIMES, together

LONGEST = 20.0
"""Seconds that a call may take on a busy machine: less than the time after which a transaction is given up."""


async def test_what_is_composed_happens_as_a_whole_or_not_at_all(
    community: Community, datalayer_uri: str, thorough: bool
) -> None:
    """Nothing acknowledged is missing, nothing that was undone is there, every rule holds, and nobody waits long."""
    hot = await HotDocuments.create(community)
    found = await together(community, datalayer_uri, hot, "a", tasks=TASKS, times=TIMES * 5 if thorough else TIMES)
    assert found.wrong == []
    assert found.problems == []
    assert found.longest < LONGEST
    assert found.outcomes.keys() == {"acknowledged", "undone", "unknown"}
