"""A clock that is wrong is refused when it is asked, and nothing is written with its time."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from datalayer import Community
from datalayer.errors import InvalidInputError
from datalayer.testing import Factories, open_database

WRONG: dict[str, object] = {
    "none": None,
    "float": 1.5,
    "integral float": 1_700_000_000_000.0,
    "bool": True,
    "string": "1700000000000",
    "negative": -1,
    "beyond what a double holds": 2**53,
    "list": [],
}


@pytest.mark.parametrize("memory", [False, True])
@pytest.mark.parametrize("time", WRONG.values(), ids=list(WRONG))
async def test_a_time_that_is_none_is_refused(community: Community, time: Any, *, memory: bool) -> None:
    """A single write, a transaction, a group commit, and a read that asks for the time."""
    if memory:
        async with open_database(Community, memory=True, clock=Clock(0)) as other:
            await _refused(other, time)
    else:
        clock = Clock(0)
        async with Community.over(community.database, schema="skip", clock=clock) as other:
            await _refused(other, time)


class Clock:
    """A clock that can be set to anything."""

    def __init__(self, time: Any) -> None:
        self.time = time

    def __call__(self) -> int:
        """What it is set to."""
        return self.time


async def _refused(community: Community, time: Any) -> None:
    clock: Any = community.clock
    make = Factories(community)
    comment, user = await make.comment(), await make.user()
    await community.memberships.ensure(user.id)
    calls: list[Callable[[], Awaitable[object]]] = [
        community.users.create,
        lambda: community.comments.create(comment.post_id, user.id, "Hello"),
        lambda: community.comments.delete(comment.id),
        lambda: community.likes.like(user.id, "post", comment.post_id),
        community.events.upcoming,
    ]
    clock.time = time
    for call in calls:
        with pytest.raises(InvalidInputError, match="must return Unix milliseconds") as raised:
            await call()
        assert raised.value.field == "clock"
    clock.time = 1
    post = await community.posts.get(comment.post_id)
    assert (post.comment_count, post.like_count) == (1, 0)
    assert (await community.comments.get(comment.id)).deleted_at is None
