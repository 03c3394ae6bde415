"""`assert_uses_index` asks the server, and tells what it sees."""

from collections.abc import Awaitable, Callable

import pytest

from datalayer import Community
from datalayer.testing import Factories, assert_uses_index


async def _asserted(community: Community, call: Callable[[], Awaitable[object]]) -> None:
    """A query that goes by the index, and another call."""
    async with assert_uses_index(community, "by_createdAt"):
        await community.users.directory(sort="newest")
        await call()


async def test_the_index_that_serves_is_seen(community: Community) -> None:
    """Of finds, of aggregations with what they look up, and of changes; on an empty database as well."""
    for index in ("by_spaceId_and_createdAt", "_id_"):
        async with assert_uses_index(community, index):
            post = await Factories(community).post()
            await community.posts.in_space(post.space_id)
    async with assert_uses_index(community, "by_role"):
        await community.database.users.update_many({"role": "admin"}, {"$set": {"role": "member"}})
    async with assert_uses_index(community, "by_authorId_and_createdAt"):
        join = {"from": "posts", "localField": "_id", "foreignField": "authorId", "as": "posts"}
        alive = [{"$match": {"deletedAt": None}}, {"$sort": {"createdAt": -1}}]
        pipeline = [{"$match": {"role": "member"}}, {"$lookup": {**join, "pipeline": alive}}]
        await (await community.database.users.aggregate(pipeline)).to_list()
    async with assert_uses_index(community, "by_points_and_id"):
        await community.points.leaderboard()


async def test_another_index_fails(community: Community) -> None:
    """The message has the query, its stages, and the index that did serve."""
    with pytest.raises(AssertionError) as failed:
        async with assert_uses_index(community, "by_role"):
            await community.users.directory(sort="newest")
    for part in ("No query uses the index by_role.", '"find": "users"', "IXSCAN", "by_createdAt"):
        assert part in str(failed.value)


async def test_a_scan_fails_whatever_else_uses_the_index(community: Community) -> None:
    """Of a query, of a change, and of a lookup."""
    await Factories(community).post()
    posts = community.database.posts
    scans = {
        "COLLSCAN": lambda: posts.find_one({"content": "x"}),
        "UPDATE": lambda: posts.update_one({"content": "x"}, {"$set": {"content": "y"}}),
        "a lookup": lambda: posts.aggregate(
            [{"$lookup": {"from": "users", "localField": "content", "foreignField": "bio", "as": "users"}}],
            hint="by_createdAt",
        ),
    }
    for part, scan in scans.items():
        with pytest.raises(AssertionError, match=rf"(?s)A query scans a collection\..*{part}"):
            await _asserted(community, scan)


async def test_nothing_to_explain_fails(community: Community) -> None:
    with pytest.raises(AssertionError, match="The block sent no query"):
        async with assert_uses_index(community, "by_role"):
            await community.users.create()


async def test_an_error_inside_the_block_is_the_error(community: Community) -> None:

    async def fails() -> None:
        await community.database.users.find_one({"content": "x"})
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await _asserted(community, fails)
