"""Time stands still until it is moved."""

import time

from datalayer import Community
from datalayer.engine.clock import DAY
from datalayer.testing import FrozenClock


def test_it_stands_still_at_the_moment_it_is_made() -> None:
    before = time.time_ns() // 1_000_000
    clock = FrozenClock()
    time.sleep(0.002)
    assert before <= clock() <= before + 1_000
    assert clock() == clock.now


def test_it_is_moved() -> None:
    clock = FrozenClock(now=5)
    clock.advance(DAY)
    assert (clock(), clock.now) == (DAY + 5, DAY + 5)
    clock.set(7)
    assert (clock(), repr(clock)) == (7, "FrozenClock(7)")


async def test_it_is_the_clock_of_the_fixtures(community: Community, datalayer_clock: FrozenClock) -> None:
    first = await community.users.create()
    datalayer_clock.advance(1)
    second = await community.users.create()
    assert (first.created_at, second.created_at) == (datalayer_clock.now - 1, datalayer_clock.now)
