"""Documents that the schema would refuse, written before it was there or past it: told as what they are."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from bson import DatetimeMS

from datalayer import Community
from datalayer.errors import InvalidDocumentError, NotFoundError
from tests.community.curricula import curriculum
from tests.community.world import people, person, post

YEAR_10000 = DatetimeMS(253_402_300_800_000)


async def _write(community: Community, table: str, filter: dict[str, Any], change: dict[str, Any]) -> None:
    collection = community.database[table]
    await collection.database.command(
        "update", table, updates=[{"q": filter, "u": change, "multi": True}], bypassDocumentValidation=True
    )


async def test_a_late_date_breaks_no_list(community: Community) -> None:
    """One beyond the year 9999, which Python's own cannot hold: the others are read, and it is too."""
    user = await person(community)
    told = [await community.notifications.notify(user.id, "news", data={"at": n}) for n in range(3)]
    assert told[1] is not None
    await _write(community, "notifications", {"_id": told[1].id}, {"$set": {"data": {"at": YEAR_10000}}})
    found = [item.data for item in (await community.notifications.recent(user.id)).items]
    assert found == [{"at": 2}, {"at": YEAR_10000}, {"at": 0}]


@pytest.mark.parametrize("wrong", [YEAR_10000, datetime(2020, 1, 1, tzinfo=UTC), "5", b"5"])
async def test_a_wrong_type_is_named(community: Community, wrong: Any) -> None:
    """In place of an integer: never taken for one, and the error has the collection, the id and the field."""
    user = await person(community)
    await _write(community, "users", {"_id": user.id}, {"$set": {"createdAt": wrong}})
    for read in (community.users.get(user.id), community.users.get_many([user.id])):
        with pytest.raises(InvalidDocumentError, match=f"users {user.id}: the field createdAt "):
            await read


async def _liked(c: Community) -> Any:
    target = await post(c)
    return lambda: c.likes.like(target.author_id, "post", target.id)


async def _rewarded(c: Community) -> Any:
    await c.gamification_config.set("post", 5)
    user = await person(c)
    return lambda: c.points.award(user.id, "post")


async def _written(c: Community) -> Any:
    one, other = await people(c, 2)
    conversation = await c.conversations.open(one.id, other.id)
    return lambda: c.messages.send(conversation.id, one.id, "hello")


async def _read(c: Community) -> Any:
    one, other = await people(c, 2)
    conversation = await c.conversations.open(one.id, other.id)
    return lambda: c.messages.history(conversation.id, reader_id=one.id)


async def _enrolled(c: Community) -> Any:
    user, world = await person(c), await curriculum(c, 1)
    return lambda: c.enrollments.enroll(user.id, world.course.id)


MISSING: list[tuple[str, str, Callable[[Community], Awaitable[Any]]]] = [
    ("posts", "likeCount", _liked),
    ("users", "points", _rewarded),
    ("gamificationConfig", "pointValue", _rewarded),
    ("conversations", "lastMessageAt", _written),
    ("conversations", "participantIds", _read),
    ("courses", "status", _enrolled),
]


@pytest.mark.parametrize(("table", "field", "world"), MISSING)
async def test_a_missing_field_is_named(community: Community, table: str, field: str, world: Any) -> None:
    """Also where only a part of the document is read: no `KeyError` leaves a method."""
    call = await world(community)
    await _write(community, table, {}, {"$unset": {field: ""}})
    with pytest.raises(InvalidDocumentError, match=f"lacks the field '{field}'"):
        await call()


async def test_a_lesson_without_its_module(community: Community) -> None:
    """It moves nowhere, and is removed by nobody: the module is not found."""
    world = await curriculum(community, 1, 0)
    await community.database.modules.delete_one({"_id": world.modules[0].id})
    for call in (
        community.lessons.move(world.lessons[0].id, world.modules[1].id),
        community.lessons.move(world.lessons[0].id, world.modules[0].id),
        community.lessons.delete(world.lessons[0].id),
    ):
        with pytest.raises(NotFoundError, match=f"Module .* {world.modules[0].id}"):
            await call
