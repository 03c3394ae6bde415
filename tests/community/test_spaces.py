"""Spaces: their order, and what is unread in them."""

import asyncio
import random
from functools import partial

import pytest
from bson import ObjectId

from datalayer import Community
from datalayer.engine.ids import new_object_id
from datalayer.errors import InvalidInputError, NotFoundError
from datalayer.ids import SpaceId, UserId
from datalayer.testing import FrozenClock, count_commands
from tests.community.world import person, post, space
from tests.interleaving.changes import changed_within


async def names(community: Community) -> list[str]:
    """The spaces in order; their places are 0 to n-1."""
    spaces = await community.spaces.list()
    assert [item.order for item in spaces] == list(range(len(spaces)))
    return [item.name for item in spaces]


@pytest.mark.quick("spaces")
async def test_the_order_has_no_gaps(community: Community) -> None:
    a, b, c, d = [await community.spaces.create(name=name) for name in "abcd"]
    assert await names(community) == ["a", "b", "c", "d"]
    await community.spaces.reorder([d.id, b.id, a.id, c.id])
    assert await names(community) == ["d", "b", "a", "c"]
    await community.spaces.delete(b.id)
    assert await names(community) == ["d", "a", "c"]
    assert [item.name for item in await community.spaces.list(include_deleted=True)] == ["d", "a", "b", "c"]
    await community.spaces.restore(b.id)
    assert await names(community) == ["d", "a", "c", "b"]
    assert (await community.spaces.restore(b.id)).order == 3
    with pytest.raises(NotFoundError):
        await community.spaces.delete(SpaceId(ObjectId()))


async def test_the_order_holds_when_it_is_changed_at_once(community: Community) -> None:
    """Spaces that are made, deleted, restored and put in order by many tasks, from none at all."""
    made = await asyncio.gather(*(community.spaces.create(name=f"{number}") for number in range(6)))
    shuffled = [item.id for item in made]
    random.Random(2).shuffle(shuffled)  # noqa: S311
    await asyncio.gather(
        community.spaces.delete(made[0].id),
        community.spaces.delete(made[3].id),
        community.spaces.create(name="new"),
        community.spaces.reorder(shuffled),
        community.spaces.create(name="newer"),
        return_exceptions=True,
    )
    await asyncio.gather(community.spaces.restore(made[0].id), community.spaces.create(name="newest"))
    assert len(await names(community)) == 8


async def test_a_reorder_is_complete(community: Community) -> None:
    """Missing, foreign, repeated and deleted ones are refused, and nothing changes."""
    a, b, c = [await community.spaces.create(name=name) for name in "abc"]
    await community.spaces.delete(c.id)
    for ids in ([], [a.id], [a.id, a.id], [a.id, b.id, a.id], [a.id, b.id, c.id], [a.id, SpaceId(ObjectId())]):
        with pytest.raises(InvalidInputError, match=r"^ids: "):
            await community.spaces.reorder(ids)
    assert await names(community) == ["a", "b"]


@pytest.mark.parametrize("what", ["all", "deleted too", "of a visibility"])
async def test_the_order_is_read_at_one_moment(community: Community, what: str) -> None:
    """By a query that pauses while it changes."""
    spaces = community.spaces
    made = [await spaces.create(name=f"{number}") for number in range(12)]
    read = {
        "all": spaces.list,
        "deleted too": partial(spaces.list, include_deleted=True),
        "of a visibility": partial(spaces.by_visibility, "public"),
    }[what]
    reverse = partial(spaces.reorder, [item.id for item in made[::-1]])
    found = await changed_within(community.database, "spaces", read, reverse)
    assert [item.id for item in found] == [item.id for item in made]


async def test_a_space_changes_by_field(community: Community) -> None:
    made = await community.spaces.create(name="a", description="about", required_tier="pro", visibility="paid")
    changed = await community.spaces.update(made.id, name="b", description=None)
    assert (changed.name, changed.description, changed.required_tier) == ("b", None, "pro")
    assert await community.spaces.update(made.id) == changed
    assert [item.name for item in await community.spaces.by_visibility("paid")] == ["b"]
    assert await community.spaces.by_visibility("public") == []


async def test_a_deleted_space_is_not_there(community: Community) -> None:
    """It is not changed, deleted or listed again, until it is restored."""
    gone = await space(community)
    await community.spaces.delete(gone.id)
    for call in (community.spaces.update(gone.id, name="new"), community.spaces.delete(gone.id)):
        with pytest.raises(NotFoundError):
            await call
    assert await community.spaces.by_visibility("public") == []
    restored = await community.spaces.restore(gone.id)
    assert await community.spaces.by_visibility("public") == [restored]


async def test_unread_begins_after_the_users_own_visit(community: Community, datalayer_clock: FrozenClock) -> None:
    """A post of the same millisecond is not new, whoever else has been there since."""
    room, author = await space(community), await person(community)
    reader, other = await person(community), await person(community)
    await community.space_visits.record(reader.id, room.id)
    await post(community, room, author)
    assert await community.space_visits.unread(reader.id) == {room.id: 0}
    datalayer_clock.advance(1)
    await post(community, room, author)
    await community.space_visits.record(other.id, room.id)
    assert [(await community.space_visits.unread(user.id))[room.id] for user in (reader, other)] == [1, 0]
    with count_commands(community) as commands:
        await community.space_visits.record(reader.id, room.id)
    assert len(commands) == 1
    assert await community.space_visits.unread(reader.id) == {room.id: 0}


async def test_unread_counts_posts_by_others_since_the_last_visit(
    community: Community, datalayer_clock: FrozenClock
) -> None:
    """Up to 100, in two round trips; not one's own, not deleted ones, not in deleted spaces."""
    rooms = [await space(community) for _ in range(4)]
    author, reader = await person(community), await person(community)
    await community.database.users.update_one({"_id": reader.id}, {"$set": {"createdAt": 0}})
    for _ in range(3):
        await post(community, rooms[0], author)
    await post(community, rooms[0], reader)
    gone = await post(community, rooms[0], author)
    await community.posts.delete(gone.id)
    await post(community, rooms[3], author)
    await community.spaces.delete(rooms[3].id)
    example = (await post(community, rooms[1], author)).to_wire()
    await community.database.posts.insert_many([example | {"_id": new_object_id()} for _ in range(150)])
    with count_commands(community) as commands:
        unread = await community.space_visits.unread(reader.id)
    assert unread == {rooms[0].id: 3, rooms[1].id: 100, rooms[2].id: 0}
    assert len(commands) == 2
    datalayer_clock.advance(1)
    await community.space_visits.record(reader.id, rooms[0].id)
    datalayer_clock.advance(1)
    await post(community, rooms[0], author)
    assert (await community.space_visits.unread(reader.id))[rooms[0].id] == 1
    with pytest.raises(NotFoundError):
        await community.space_visits.unread(UserId(ObjectId()))


@pytest.mark.quick("space_visits")
async def test_visits_never_move_backwards(community: Community) -> None:
    """One for each user and space, however many are recorded at once, with whatever clock."""
    user, room = await person(community), await space(community)
    visits = await asyncio.gather(*(community.space_visits.record(user.id, room.id) for _ in range(8)))
    assert len({visit.id for visit in visits}) == 1
    async with Community.over(community.database, schema="skip", clock=lambda: 5) as past:
        visit = await past.space_visits.record(user.id, room.id)
    assert visit.last_visited_at == max(item.last_visited_at for item in visits)
    for user_id, space_id in ((UserId(ObjectId()), room.id), (user.id, SpaceId(ObjectId()))):
        with pytest.raises(NotFoundError):
            await community.space_visits.record(user_id, space_id)


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "x" * 51}, "name"),
        ({"name": "a", "description": "x" * 201}, "description"),
        ({"name": "a", "visibility": "secret"}, "visibility"),
        ({"name": "a", "post_permission": {"$ne": 1}}, "post_permission"),
        ({"name": "a", "required_tier": ""}, "required_tier"),
        ({}, "name"),
    ],
)
async def test_bad_input(community: Community, arguments: dict[str, str], field: str) -> None:
    with pytest.raises(InvalidInputError) as error:
        await community.spaces.create(**arguments)  # type: ignore[arg-type]
    assert error.value.field == field
    assert await community.database.spaces.count_documents({}) == 0


async def test_every_field_can_be_changed(community: Community) -> None:
    """Each alone: the others stay as they are."""
    room = await space(community)
    expected = room.model_dump()
    for change in (
        {"name": "Lounge"},
        {"visibility": "paid"},
        {"post_permission": "admin"},
        {"description": "Quiet"},
        {"icon": "sofa"},
        {"required_tier": "gold"},
    ):
        expected |= change
        assert (await community.spaces.update(room.id, **change)).model_dump() == expected
    assert (await community.spaces.get(room.id)).model_dump() == expected
