"""A new capacity, and people who come and go, in every order of their commands."""

from itertools import count
from typing import Any

import pytest

from datalayer.engine.clock import DAY
from datalayer.errors import EventFullError, InvalidInputError
from tests.community.world import people
from tests.interleaving.stepping import Two
from tests.seeding.invariants import violations


@pytest.mark.parametrize("with_times", [False, True])
@pytest.mark.parametrize("answer", ["withdraw", "going"])
async def test_a_capacity_is_refused_for_a_reason(two: Two, answer: Any, *, with_times: bool) -> None:
    """Never for more people than there are when it is refused; and never with fewer seats than people."""
    (held, _), (free, _) = two.first, two.second
    now = free.clock()
    for at in count():
        one, other = await people(free, 2)
        event = await free.events.create(title="Event", start_time=now + DAY, end_time=now + 2 * DAY)
        await free.rsvps.set(one.id, event.id, "going")
        if answer == "withdraw":
            await free.rsvps.set(other.id, event.id, "going")
        times = {"end_time": now + 3 * DAY} if with_times else {}

        async def meanwhile() -> object:
            if answer == "withdraw":
                return await free.rsvps.withdraw(other.id, event.id)  # noqa: B023
            return await free.rsvps.set(other.id, event.id, "going")  # noqa: B023

        results = await two.interleave(lambda: held.events.update(event.id, capacity=1, **times), meanwhile, at)  # noqa: B023
        if results is None:
            assert at
            return
        updated, answered = results
        going = (await free.rsvps.counts(event.id)).going
        if isinstance(updated, InvalidInputError):
            assert updated.reason == "must not be below the number of people going, 2"
        else:
            assert updated.capacity == going == 1
            assert answered is True or isinstance(answered, EventFullError)
        assert await violations(free.database) == []
