"""Likes: one for each user and target, counted exactly, by many at once."""

import asyncio
import random

import pytest
from bson import ObjectId

from datalayer import Community
from datalayer.errors import InvalidInputError, NotFoundError
from datalayer.ids import PostId, UserId
from datalayer.repositories.likes import LikeResult
from datalayer.testing import count_commands
from tests.community.world import people, person, post


async def test_like_and_unlike_are_safe_to_repeat(community: Community) -> None:
    user, target = await person(community), await post(community)
    pair = (user.id, "post", target.id)
    for verb, newly in (("like", True), ("like", False), ("unlike", False), ("unlike", False)):
        liked = verb == "like"
        assert await getattr(community.likes, verb)(*pair) == LikeResult(liked, int(liked), newly)
    assert await community.likes.toggle(*pair) == LikeResult(liked=True, like_count=1, newly=True)
    assert await community.likes.is_liked(*pair)
    assert await community.likes.toggle(*pair) == LikeResult(liked=False, like_count=0, newly=False)
    assert not await community.likes.is_liked(*pair)


@pytest.mark.quick("likes")
async def test_many_at_once_are_counted_exactly(community: Community) -> None:
    """32 tasks on one post share transactions: each gets its own place in the count, in far fewer commits."""
    users, target = await people(community, 32), await post(community)
    with count_commands(community) as commands:
        results = await asyncio.gather(*(community.likes.like(user.id, "post", target.id) for user in users))
    assert sorted(result.like_count for result in results) == list(range(1, 33))
    assert (await community.posts.get(target.id)).like_count == 32
    assert sum(command.name == "commitTransaction" for command in commands) <= 4


async def test_a_mixed_group_is_done_in_order(community: Community) -> None:
    """Likes, unlikes and toggles that share one transaction give what they give one after the other."""
    users, target = await people(community, 5), await post(community)
    liked: set[UserId] = set()
    draw = random.Random(7)  # noqa: S311
    for _ in range(25):
        requests = [(draw.choice(users).id, draw.choice(("like", "unlike", "toggle"))) for _ in range(8)]
        expected: list[LikeResult] = []
        for user_id, verb in requests:
            before = user_id in liked
            now = not before if verb == "toggle" else verb == "like"
            (liked.add if now else liked.discard)(user_id)
            expected.append(LikeResult(now, len(liked), newly=now and not before))
        with count_commands(community) as commands:
            calls = (getattr(community.likes, verb)(user_id, "post", target.id) for user_id, verb in requests)
            assert await asyncio.gather(*calls) == expected
        assert [command.name for command in commands].count("commitTransaction") == 1
        assert (await community.posts.get(target.id)).like_count == len(liked)
        likes = await community.likes.of_target("post", target.id)
        assert sorted(like.user_id for like in likes.items) == sorted(liked)


async def test_one_users_toggles_at_once_take_turns(community: Community) -> None:
    """An even number of toggles leaves things as they were, in whatever order they come."""
    user, target = await person(community), await post(community)
    results = await asyncio.gather(*(community.likes.toggle(user.id, "post", target.id) for _ in range(10)))
    assert [result.liked for result in results].count(True) == 5
    assert (await community.posts.get(target.id)).like_count == 0


async def test_a_failure_is_one_callers_alone(community: Community) -> None:
    """A user who does not exist spoils nobody else's like."""
    users, target = await people(community, 8), await post(community)
    ids = [user.id for user in users] + [UserId(ObjectId())]
    random.Random(1).shuffle(ids)  # noqa: S311
    calls = (community.likes.like(id, "post", target.id) for id in ids)
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert sum(isinstance(result, NotFoundError) for result in results) == 1
    assert (await community.posts.get(target.id)).like_count == 8


async def test_cancelling_one_caller_loses_nobody_elses(community: Community) -> None:
    """Neither a caller that waits nor the one that came first takes others along."""
    users, target = await people(community, 12), await post(community)
    tasks = [asyncio.create_task(community.likes.like(user.id, "post", target.id)) for user in users]
    await asyncio.sleep(0)
    for cancelled in (tasks[0], tasks[5]):
        cancelled.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    liked = await community.likes.of_target("post", target.id, limit=100)
    assert {users[number].id for number in range(12) if number not in (0, 5)} <= {like.user_id for like in liked.items}
    assert sum(isinstance(result, asyncio.CancelledError) for result in results) == 2
    assert (await community.posts.get(target.id)).like_count == len(liked.items)


async def test_an_open_transaction_takes_the_like_along(community: Community) -> None:
    """Inside `transaction` a like is a part of it, and undone with it."""
    user, target = await person(community), await post(community)

    async def work() -> None:
        assert (await community.likes.like(user.id, "post", target.id)).like_count == 1
        raise KeyError

    with pytest.raises(KeyError):
        await community.transaction(work)
    assert (await community.posts.get(target.id)).like_count == 0
    assert not await community.likes.is_liked(user.id, "post", target.id)


async def test_a_like_of_a_comment_counts_there(community: Community) -> None:
    user, target = await person(community), await post(community)
    comment = await community.comments.create(target.id, user.id, "yes")
    assert (await community.likes.like(user.id, "comment", comment.id)).like_count == 1
    assert (await community.comments.get(comment.id)).like_count == 1
    (like,) = (await community.likes.by_user(user.id)).items
    assert (like.target_type, like.target_id) == ("comment", comment.id)
    await community.likes.delete(like.id)
    assert (await community.comments.get(comment.id)).like_count == 0
    with pytest.raises(NotFoundError):
        await community.likes.delete(like.id)


async def test_the_target_must_be_there(community: Community) -> None:
    """A missing and a deleted target are refused, for each verb; its likes stay, unlisted, and come back with it."""
    user, target = await person(community), await post(community)
    await community.likes.like(user.id, "post", target.id)
    await community.posts.delete(target.id)
    for verb in (community.likes.like, community.likes.unlike, community.likes.toggle):
        for id in (target.id, PostId(ObjectId())):
            with pytest.raises(NotFoundError, match="Post"):
                await verb(user.id, "post", id)
    assert (await community.likes.by_user(user.id)).items == []
    assert (await community.likes.of_target("post", target.id)).items == []
    await community.posts.restore(target.id)
    assert len((await community.likes.by_user(user.id)).items) == 1
    assert len((await community.likes.of_target("post", target.id)).items) == 1


async def test_the_likes_of_a_deleted_comment_are_unlisted(community: Community) -> None:
    """Until it is restored; those of others stay. One that is removed meanwhile is counted."""
    user, target = await person(community), await post(community)
    gone, kept = [await community.comments.create(target.id, user.id, text) for text in ("gone", "kept")]
    for comment in (gone, kept):
        await community.likes.like(user.id, "comment", comment.id)

    async def listed() -> list[int]:
        of_target = [len((await community.likes.of_target("comment", item.id)).items) for item in (gone, kept)]
        return [*of_target, len((await community.likes.by_user(user.id)).items)]

    assert await listed() == [1, 1, 2]
    (like,) = (await community.likes.of_target("comment", gone.id)).items
    await community.comments.delete(gone.id)
    assert await listed() == [0, 1, 1]
    with pytest.raises(NotFoundError):
        await community.likes.unlike(user.id, "comment", gone.id)
    await community.comments.restore(gone.id)
    assert await listed() == [1, 1, 2]
    await community.comments.delete(gone.id)
    await community.likes.delete(like.id)
    assert (await community.comments.restore(gone.id)).like_count == 0


async def test_liked_among_is_one_covered_query(community: Community) -> None:
    user, other = await people(community, 2)
    posts = [await post(community) for _ in range(4)]
    for target in posts[:2]:
        await community.likes.like(user.id, "post", target.id)
    await community.likes.like(other.id, "post", posts[2].id)
    assert not await community.likes.is_liked(user.id, "post", posts[2].id)
    with count_commands(community) as commands:
        assert await community.likes.liked_among(user.id, "post", {item.id for item in posts}) == {
            posts[0].id,
            posts[1].id,
        }
    assert len(commands) == 1


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        (("5" * 24, "post", ObjectId()), "user_id"),
        (({"$gt": ""}, "post", ObjectId()), "user_id"),
        ((ObjectId(), "user", ObjectId()), "target_type"),
        ((ObjectId(), {"$ne": 1}, ObjectId()), "target_type"),
        ((ObjectId(), "post", "5" * 24), "target_id"),
        ((ObjectId(), "post", {"$gt": ""}), "target_id"),
    ],
)
async def test_bad_input(community: Community, arguments: tuple[object, ...], field: str) -> None:
    for verb in (community.likes.like, community.likes.unlike, community.likes.toggle, community.likes.is_liked):
        with pytest.raises(InvalidInputError) as error:
            await verb(*arguments)  # type: ignore[arg-type]
        assert error.value.field == field
