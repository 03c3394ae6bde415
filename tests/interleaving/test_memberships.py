"""Events of Stripe, and whatever else makes or changes a membership, in every order of their commands."""

from collections.abc import Awaitable, Callable
from functools import partial
from itertools import count
from typing import Any

import pytest
from bson import ObjectId

from tests.interleaving.stepping import Two
from tests.seeding.invariants import violations

Act = Callable[[Any, dict[str, Any]], Awaitable[Any]]


async def _newest(c: Any, ids: dict[str, Any]) -> bool:
    event: Any = {"event_id": "newest", "created": 20, "customer_id": f"cus_{ids['user']}", "status": "active"}
    return await c.memberships.apply_stripe_event(user_id=ids["user"], tier="newest", **event)


async def _older(c: Any, ids: dict[str, Any]) -> bool:
    event: Any = {"event_id": "older", "created": 10, "status": "past_due"}
    return await c.memberships.apply_stripe_event(user_id=ids["user"], tier="older", **event)


OTHERS: dict[str, Act] = {
    "memberships.ensure": lambda c, ids: c.memberships.ensure(ids["user"]),
    "users.ensure": lambda c, ids: c.users.ensure(ids["account"]),
    "an older event": _older,
    "the same event": _newest,
}


@pytest.mark.parametrize("newest_is_held", [True, False])
@pytest.mark.parametrize("other", OTHERS)
async def test_the_newest_event_is_applied(two: Two, other: str, *, newest_is_held: bool) -> None:
    """Once, and whoever creates the membership meanwhile."""
    calls = (_newest, OTHERS[other]) if newest_is_held else (OTHERS[other], _newest)
    for at in count():
        account = str(ObjectId())
        ids = {"account": account, "user": (await two.second[0].users.create(auth_user_id=account)).id}
        first, second = (
            partial(call, where[0], ids) for call, where in zip(calls, (two.first, two.second), strict=True)
        )
        results = await two.interleave(first, second, at)
        if results is None:
            assert at
            return
        membership = await two.second[0].memberships.for_user(ids["user"])
        assert membership is not None
        assert (membership.tier, membership.stripe_event_ids) == ("newest", ["newest"]), f"at {at}: {results}"
        applied = [result is True for result in results]
        newest = 0 if newest_is_held else 1
        assert applied.count(True) == 1 if other == "the same event" else applied[newest], f"at {at}: {results}"
        assert await violations(two.second[0].database) == []
