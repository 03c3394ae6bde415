"""Posts: what they are made of, pins, deletion, counts."""

import asyncio
from typing import Any

import pytest
from bson import ObjectId

from datalayer import Community
from datalayer.errors import InvalidInputError, NotFoundError, PinLimitError
from datalayer.ids import PostId, SpaceId, UserId
from datalayer.testing import FrozenClock
from tests.community.world import person, post, space


async def test_a_post_has_its_authors_name(community: Community) -> None:
    """And "Member" where the author has none; times come from the clock."""
    room = await space(community)
    nameless = await community.users.create(avatar_storage_id="file1")  # type: ignore[arg-type]
    async with Community.over(community.database, schema="skip", clock=lambda: 1234) as then:
        made = await then.posts.create(
            room.id,
            nameless.id,
            content="c",
            content_html="<p>c</p>",
            title="t",
            media_ids=["m"],  # type: ignore[list-item]
        )
    assert (made.author_name, made.author_avatar, made.created_at) == ("Member", "file1", 1234)
    assert (made.title, made.media_ids, made.like_count, made.comment_count) == ("t", ["m"], 0, 0)
    assert await community.posts.get(made.id) == made


async def test_an_edit_changes_what_is_given(community: Community) -> None:
    made = await post(community)
    edited = await community.posts.edit(made.id, content="new", title="t")
    assert (edited.content, edited.content_html, edited.title) == ("new", made.content_html, "t")
    assert edited.edited_at is not None
    edited = await community.posts.edit(made.id, title=None)
    assert edited.title is None
    assert "title" not in (await community.database.posts.find_one() or {})


@pytest.mark.quick("posts")
async def test_a_space_has_three_pins_at_most(community: Community) -> None:
    """However many pin at once; who is refused is told so, and an unpinned post makes room."""
    room, author = await space(community), await person(community)
    posts = [await post(community, room, author) for _ in range(6)]
    results = await asyncio.gather(*(community.posts.pin(item.id) for item in posts), return_exceptions=True)
    assert sum(isinstance(result, PinLimitError) for result in results) == 3
    pinned = [item for item in (await community.posts.feed(room.id)).items if item.pinned_at is not None]
    assert len(pinned) == 3
    again = await community.posts.pin(pinned[0].id)
    assert again == pinned[0]
    await community.posts.unpin(pinned[0].id)
    other = next(item for item in posts if item.id not in {item.id for item in pinned})
    await community.posts.pin(other.id)
    await community.posts.delete(other.id)
    await community.posts.pin(pinned[0].id)
    restored = await community.posts.restore(other.id)
    assert restored.pinned_at is None
    elsewhere = await post(community, author=author)
    assert (await community.posts.pin(elsewhere.id)).pinned_at is not None


async def test_the_feed_begins_with_the_newest_pin(community: Community, datalayer_clock: FrozenClock) -> None:
    room, author = await space(community), await person(community)
    posts = [await post(community, room, author) for _ in range(5)]
    await community.posts.pin(posts[1].id)
    datalayer_clock.advance(1)
    await community.posts.pin(posts[0].id)
    feed = [item.id for item in (await community.posts.feed(room.id)).items]
    assert feed == [posts[number].id for number in (0, 1, 4, 3, 2)]


async def test_a_deleted_post_is_listed_nowhere(community: Community) -> None:
    room, author = await space(community), await person(community)
    follower = await person(community)
    await community.follows.follow(follower.id, author.id)
    gone = await post(community, room, author)
    await community.comments.create(gone.id, author.id, "yes")
    await community.posts.delete(gone.id)
    lists: list[Any] = [
        community.posts.feed(room.id),
        community.posts.in_space(room.id),
        community.posts.by_author(author.id),
        community.posts.recent(),
        community.posts.following(follower.id),
        community.comments.thread(gone.id),
        community.comments.by_author(author.id),
    ]
    assert [(await page).items for page in lists] == [[]] * len(lists)
    for change in (community.posts.delete, community.posts.pin, community.posts.unpin, community.posts.edit):
        with pytest.raises(NotFoundError):
            await change(gone.id)
    await community.posts.restore(gone.id)
    assert len((await community.posts.recent()).items) == 1
    assert len((await community.comments.thread(gone.id)).items) == 1


async def test_recent_leaves_deleted_spaces_out(community: Community) -> None:
    open_space, closed = await space(community), await space(community)
    kept, _ = await post(community, open_space), await post(community, closed)
    await community.spaces.delete(closed.id)
    for page in (community.posts.recent(), community.posts.recent(space_ids=[open_space.id, closed.id])):
        assert [item.id for item in (await page).items] == [kept.id]
    assert (await community.posts.recent(space_ids=[])).items == []


async def test_count_since(community: Community) -> None:
    room, author = await space(community), await person(community)
    posts = [await post(community, room, author) for _ in range(3)]
    await community.posts.delete(posts[1].id)
    assert await community.posts.count_since(room.id, posts[0].created_at) == 2
    assert await community.posts.count_since(room.id, posts[-1].created_at + 1) == 0


async def test_what_a_post_points_at_must_exist(community: Community) -> None:
    room, author, gone = await space(community), await person(community), await space(community)
    await community.spaces.delete(gone.id)
    for space_id, author_id in (
        (SpaceId(ObjectId()), author.id),
        (gone.id, author.id),
        (room.id, UserId(ObjectId())),
    ):
        with pytest.raises(NotFoundError):
            await community.posts.create(space_id, author_id, content="c", content_html="c")
    assert await community.database.posts.count_documents({}) == 0


async def test_a_deletion_and_an_edit_at_once_leave_one_of_the_two(community: Community) -> None:
    made = await post(community)
    results = await asyncio.gather(
        community.posts.delete(made.id), community.posts.edit(made.id, content="new"), return_exceptions=True
    )
    assert results[0] is None
    assert await community.posts.find(made.id) is None


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"space_id": "5" * 24}, "space_id"),
        ({"space_id": {"$gt": ""}}, "space_id"),
        ({"author_id": None}, "author_id"),
        ({"content": ""}, "content"),
        ({"content": " \n\t"}, "content"),
        ({"content": "x" * 100_001}, "content"),
        ({"content": "a\0"}, "content"),
        ({"content": "\udfff"}, "content"),
        ({"content": {"$gt": ""}}, "content"),
        ({"content": b"bytes"}, "content"),
        ({"content_html": None}, "content_html"),
        ({"title": ""}, "title"),
        ({"title": "x" * 201}, "title"),
        ({"media_ids": ["ok", 5]}, "media_ids[1]"),
        ({"media_ids": "file"}, "media_ids"),
        ({"media_ids": ["x"] * 101}, "media_ids"),
        ({"like_count": 5}, "like_count"),
    ],
)
async def test_bad_input(community: Community, arguments: dict[str, Any], field: str) -> None:
    """Names the field, and writes nothing."""
    made = await post(community)
    good = {"space_id": made.space_id, "author_id": made.author_id, "content": "c", "content_html": "c"}
    with pytest.raises(InvalidInputError) as error:
        await community.posts.create(**(good | arguments))
    assert error.value.field == field
    if field not in ("space_id", "author_id"):
        with pytest.raises(InvalidInputError) as error:
            await community.posts.edit(made.id, **arguments)
        assert error.value.field == field
    assert await community.database.posts.find().to_list() == [made.to_wire()]


async def test_a_missing_post_is_not_found(community: Community) -> None:
    for change in (community.posts.edit, community.posts.pin, community.posts.unpin, community.posts.restore):
        with pytest.raises(NotFoundError):
            await change(PostId(ObjectId()))


async def test_an_edit_of_nothing_is_none(community: Community) -> None:
    made = await post(community)
    assert await community.posts.edit(made.id) == made
    user = await person(community)
    assert await community.users.update_profile(user.id) == user
    assert await community.users.update_notification_prefs(user.id) == user


async def test_what_is_under_a_deleted_post_is_unlisted(community: Community) -> None:
    """Replies, and likes of its comments; all of it comes back with the post."""
    made, user = await post(community), await person(community)
    top = await community.comments.create(made.id, user.id, "top")
    await community.comments.create(made.id, user.id, "reply", parent_id=top.id)
    await community.likes.like(user.id, "comment", top.id)

    async def seen() -> list[int]:
        pages: list[Any] = [
            await community.comments.replies(top.id),
            await community.likes.of_target("comment", top.id),
            await community.likes.by_user(user.id),
        ]
        return [len(page.items) for page in pages]

    await community.posts.delete(made.id)
    assert await seen() == [0, 0, 0]
    await community.posts.restore(made.id)
    assert await seen() == [1, 1, 1]
