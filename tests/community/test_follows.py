"""Who follows whom."""

import asyncio

import pytest
from bson import ObjectId

from datalayer import Community
from datalayer.errors import InvalidInputError, NotFoundError, SelfFollowError
from datalayer.ids import UserId
from datalayer.repositories.follows import FollowCounts, FollowResult
from datalayer.testing import FrozenClock, count_commands
from tests.commands import keys_and_stages
from tests.community.test_pages import read_all
from tests.community.world import people, person


@pytest.mark.quick("follows")
async def test_following_is_safe_to_repeat(community: Community, datalayer_clock: FrozenClock) -> None:
    """One document for each pair, however many ask at once; a repetition does not change it."""
    a, b = await people(community, 2)
    results = await asyncio.gather(*(community.follows.follow(a.id, b.id) for _ in range(8)))
    assert len({result.follow.id for result in results}) == 1
    assert [result.newly for result in results].count(True) == 1
    datalayer_clock.advance(1)
    assert await community.follows.follow(a.id, b.id) == FollowResult(results[0].follow, newly=False)
    assert await community.follows.is_following(a.id, b.id)
    assert not await community.follows.is_following(b.id, a.id)
    assert [await community.follows.unfollow(a.id, b.id) for _ in range(2)] == [True, False]


async def test_nobody_follows_themselves(community: Community) -> None:
    user = await person(community)
    with pytest.raises(SelfFollowError):
        await community.follows.follow(user.id, user.id)


async def test_lists_and_counts(community: Community) -> None:
    """Newest first; counted in the indexes alone."""
    star, *fans = await people(community, 6)
    for fan in fans:
        await community.follows.follow(fan.id, star.id)
    await community.follows.follow(star.id, fans[0].id)
    followers = await read_all(community.follows.followers, star.id, limit=2)
    assert [follow.follower_id for follow in followers] == [fan.id for fan in reversed(fans)]
    assert [follow.following_id for follow in await read_all(community.follows.following, star.id)] == [fans[0].id]
    with count_commands(community) as commands:
        assert await community.follows.counts(star.id) == FollowCounts(followers=5, following=1)
    assert len(commands) == 2
    for command in commands:
        _, stages = await keys_and_stages(community.database, command)
        assert not {"FETCH", "COLLSCAN"} & stages


async def test_both_must_exist(community: Community) -> None:
    user = await person(community)
    for pair in ((user.id, UserId(ObjectId())), (UserId(ObjectId()), user.id)):
        with pytest.raises(NotFoundError):
            await community.follows.follow(*pair)
    assert await community.database.follows.count_documents({}) == 0


async def test_bad_input(community: Community) -> None:
    user = await person(community)
    for verb in (community.follows.follow, community.follows.unfollow):
        for wrong in ("5" * 24, {"$ne": 1}, None):
            with pytest.raises(InvalidInputError, match=r"^following_id: "):
                await verb(user.id, wrong)  # type: ignore[arg-type]
