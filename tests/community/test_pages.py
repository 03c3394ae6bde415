"""Pages by position: complete, in order, stable, and as cheap at any depth."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from bson import ObjectId
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from datalayer import Community, Page
from datalayer.documents import Post
from datalayer.engine.ids import new_object_id
from datalayer.errors import InvalidCursorError, InvalidInputError
from datalayer.testing import count_commands
from tests.commands import keys_and_stages
from tests.community.world import people, person, post, space
from tests.examples import full_wire

Lister = Callable[..., Awaitable[Page[Any]]]


async def read_all(lister: Lister, *arguments: Any, limit: int = 3, **named: Any) -> list[Any]:
    """All items of a list, page by page; no page but the last is short, and the last one knows that it is."""
    items: list[Any] = []
    cursors: list[str | None] = [None]
    while True:
        page = await lister(*arguments, limit=limit, after=cursors[-1], **named)
        items += page.items
        if page.next is None:
            return items
        assert len(page.items) == limit
        assert page.next not in cursors, "the pages go round in circles"
        cursors.append(page.next)


def _post(space_id: ObjectId, author_id: ObjectId, **fields: Any) -> dict[str, Any]:
    wire = full_wire(Post) | {"_id": new_object_id(), "spaceId": space_id, "authorId": author_id}
    for name in ("deletedAt", "pinnedAt"):
        del wire[name]
    return wire | fields


times = st.lists(
    st.fixed_dictionaries(
        {"createdAt": st.integers(1, 4)}, optional={"pinnedAt": st.integers(1, 2), "deletedAt": st.just(9)}
    ),
    max_size=12,
)


@settings(max_examples=settings().max_examples // 3, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(posts=times, limit=st.integers(1, 5))
async def test_every_list_is_its_sorted_documents(
    community: Community, posts: list[dict[str, int]], limit: int
) -> None:
    """Whatever the ties: reading page by page gives what is there, once, in the order of the list."""
    await community.database.posts.delete_many({})
    await community.database.spaces.delete_many({})
    room, author = await space(community), await person(community)
    rows = [_post(room.id, author.id, **fields) for fields in posts]
    if rows:
        await community.database.posts.insert_many(rows)
    alive = [row for row in rows if "deletedAt" not in row]
    by_time = sorted(alive, key=lambda row: (row["createdAt"], row["_id"]), reverse=True)
    pinned_first = sorted(alive, key=lambda row: (row.get("pinnedAt", 0), row["createdAt"], row["_id"]), reverse=True)
    expected: list[tuple[Lister, tuple[Any, ...], dict[str, Any], list[dict[str, Any]]]] = [
        (community.posts.feed, (room.id,), {}, pinned_first),
        (community.posts.in_space, (room.id,), {}, by_time),
        (community.posts.in_space, (room.id,), {"order": "oldest"}, by_time[::-1]),
        (community.posts.by_author, (author.id,), {}, by_time),
        (community.posts.recent, (), {}, by_time),
        (community.posts.recent, (), {"space_ids": [room.id]}, by_time),
    ]
    for lister, arguments, named, rows_in_order in expected:
        items = await read_all(lister, *arguments, limit=limit, **named)
        assert [item.id for item in items] == [row["_id"] for row in rows_in_order]


async def test_pages_are_stable_while_documents_come_and_go(community: Community) -> None:
    """Deleting the item at the cursor, and inserting on both sides of it, repeats and skips nothing."""
    room, author = await space(community), await person(community)
    rows = [_post(room.id, author.id, createdAt=100 + number) for number in range(20)]
    await community.database.posts.insert_many(rows)
    for order, newest_first in (("newest", True), ("oldest", False)):
        first = await community.posts.in_space(room.id, order=order, limit=5)  # type: ignore[arg-type]
        await community.posts.delete(first.items[-1].id)
        behind, before = (50, 200) if newest_first else (200, 50)
        new = [_post(room.id, author.id, createdAt=time) for time in (behind, before)]
        await community.database.posts.insert_many(new)
        rest = await read_all(community.posts.in_space, room.id, order=order, limit=20)
        page = await community.posts.in_space(room.id, order=order, limit=100, after=first.next)  # type: ignore[arg-type]
        seen = [item.id for item in page.items]
        assert not {item.id for item in first.items} & set(seen)
        assert new[0]["_id"] in seen
        assert new[1]["_id"] not in seen
        assert set(seen) | {item.id for item in first.items[:-1]} | {new[1]["_id"]} == {item.id for item in rest}
        await community.database.posts.delete_many({"_id": {"$in": [row["_id"] for row in new]}})
        await community.posts.restore(first.items[-1].id)


async def test_a_page_costs_the_same_at_any_depth(community: Community) -> None:
    """At most 1.2 keys for each item, also with one document in ten deleted; no sort, no scan of the collection."""
    room, author = await space(community), await person(community)
    rows = [
        _post(room.id, author.id, createdAt=1_000 + number // 3, **({"deletedAt": 1} if number % 10 == 5 else {}))
        for number in range(2_000)
    ]
    await community.database.posts.insert_many(rows)
    posts = community.posts
    lists: list[tuple[Lister, ObjectId]] = [
        (posts.feed, room.id),
        (posts.in_space, room.id),
        (posts.by_author, author.id),
    ]
    for lister, owner in lists:
        after = None
        for depth in range(15):
            with count_commands(community) as commands:
                page = await lister(owner, limit=100, after=after)
            if depth in (0, 1, 7, 14):
                keys, stages = await keys_and_stages(community.database, commands[0])
                assert keys <= 1.2 * len(page.items)
                assert not {"SORT", "COLLSCAN"} & stages
            after = page.next


async def test_the_home_feed_seeks_once_in_each_space(community: Community) -> None:
    """20 spaces: two round trips at any depth, and keys for the page and a few for each space."""
    rooms = await asyncio.gather(*(space(community) for _ in range(20)))
    author = await person(community)
    rows = [_post(room.id, author.id, createdAt=1_000 + number) for number in range(50) for room in rooms]
    await community.database.posts.insert_many(rows)
    after = None
    for _ in range(4):
        with count_commands(community) as commands:
            page = await community.posts.recent(space_ids=[room.id for room in rooms], after=after)
        assert [command.name for command in commands] == ["find", "aggregate"]
        keys, stages = await keys_and_stages(community.database, commands[1])
        assert keys <= len(page.items) + 2 * len(rooms) + 1
        assert not {"SORT", "COLLSCAN"} & stages
        after = page.next


async def test_following_many_people_is_two_round_trips(community: Community) -> None:
    """Also more than the server merges in one sort; inside a transaction it gives the same."""
    me, *others = await people(community, 201)
    await community.database.follows.insert_many(
        [{"followerId": me.id, "followingId": other.id, "createdAt": 1} for other in others]
    )
    room = await space(community)
    rows = [_post(room.id, other.id, createdAt=1_000 + number % 7) for number, other in enumerate(others)]
    await community.database.posts.insert_many(rows)
    expected = sorted(rows, key=lambda row: (row["createdAt"], row["_id"]), reverse=True)
    with count_commands(community) as commands:
        items = (await community.posts.following(me.id)).items
    assert [command.name for command in commands] == ["find", "aggregate"]
    assert [item.id for item in items] == [row["_id"] for row in expected[:20]]
    assert [item.id for item in await read_all(community.posts.following, me.id, limit=60)] == [
        row["_id"] for row in expected
    ]

    async def work() -> list[ObjectId]:
        return [item.id for item in (await community.posts.following(me.id, limit=100)).items]

    assert await community.transaction(work) == [row["_id"] for row in expected[:100]]


async def test_a_cursor_belongs_to_its_query(community: Community) -> None:
    """Another list's, another order's, a cut and a changed cursor are refused."""
    room, author = await space(community), await person(community)
    other = await space(community)
    for _ in range(3):
        await post(community, room, author)
    cursor = str((await community.posts.in_space(room.id, limit=1)).next)
    assert len((await community.posts.in_space(room.id, limit=5, after=cursor)).items) == 2
    wrong: list[tuple[Lister, tuple[Any, ...], dict[str, Any]]] = [
        (community.posts.in_space, (other.id,), {"after": cursor}),
        (community.posts.in_space, (room.id,), {"after": cursor, "order": "oldest"}),
        (community.posts.feed, (room.id,), {"after": cursor}),
        (community.posts.by_author, (author.id,), {"after": cursor}),
        (community.posts.recent, (), {"after": cursor}),
        (community.users.directory, (), {"after": cursor}),
        (community.comments.by_author, (author.id,), {"after": cursor}),
    ]
    for lister, arguments, named in wrong:
        with pytest.raises(InvalidCursorError):
            await lister(*arguments, **named)
    damaged = [cursor[:cut] for cut in range(len(cursor))]
    damaged += [cursor[:at] + ("A" if cursor[at] != "A" else "B") + cursor[at + 1 :] for at in range(len(cursor))]
    damaged += [cursor + cursor, "ä", "=", "\x00", "null", "e30"]
    for text in damaged:
        with pytest.raises(InvalidInputError) as error:
            await community.posts.in_space(room.id, after=text)
        assert error.value.field == "after"


@pytest.mark.parametrize("limit", [0, -1, 101, 10**30, True, 2.5, "20", None, {"$gt": 1}])
async def test_a_bad_limit_is_bad_input(community: Community, limit: Any) -> None:
    with pytest.raises(InvalidInputError, match=r"^limit: "):
        await community.posts.recent(limit=limit)
