"""Notifications: told once, counted by an index alone, read at once."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from bson import ObjectId

from datalayer import Community
from datalayer.documents import User
from datalayer.engine.fields import StorageId
from datalayer.engine.ids import new_object_id
from datalayer.errors import InvalidInputError, NotFoundError
from datalayer.ids import NotificationId, UserId
from datalayer.testing import count_commands
from datalayer.testing.explained import statements
from tests.commands import keys_and_stages
from tests.community.test_pages import read_all
from tests.community.world import people, person
from tests.seeding.invariants import violations


async def _told(community: Community, user: User, count: int) -> list[dict[str, Any]]:
    """So many notifications of the user, every third of them read, two in each millisecond."""
    rows = [
        {"type": "like", "data": None}
        | {"_id": new_object_id(), "userId": user.id, "createdAt": 1 + number // 2, "read": number % 3 == 0}
        for number in range(count)
    ]
    await community.database.notifications.insert_many(rows)
    return rows


async def _some_users(community: Community, count: int) -> list[UserId]:
    """So many users, by one command."""
    wire = (await community.users.create()).to_wire()
    rows = [wire | {"_id": new_object_id()} for _ in range(count)]
    await community.database.users.insert_many(rows)
    return [row["_id"] for row in rows]


async def test_a_notification_keeps_the_actor_of_its_time(community: Community) -> None:
    """Name and avatar are copied, and stay when the actor changes. 2 round trips."""
    user = await person(community)
    actor = await community.users.create(name="Grace", avatar_storage_id=StorageId("grace.png"))
    data: Any = {"postId": ObjectId(), "words": ["yes", 1, 2.5, None, True]}
    with count_commands(community) as commands:
        told = await community.notifications.notify(user.id, "comment", actor_id=actor.id, data=data)
    assert [command.name for command in commands] == ["find", "insert"]
    assert told is not None
    await community.users.update_profile(actor.id, name="Admiral", avatar_storage_id=None)
    found = await community.notifications.get(told.id)
    assert found == told
    assert (found.user_id, found.type, found.data, found.read) == (user.id, "comment", data, False)
    assert (found.actor_id, found.actor_name, found.actor_avatar) == (actor.id, "Grace", "grace.png")


async def test_a_nameless_actor_and_none(community: Community) -> None:
    """Somebody without a name is "Member"; without an actor there is no copy, and data may be nothing."""
    user, actor = await person(community), await community.users.create()
    told = await community.notifications.notify(user.id, "follow", actor_id=actor.id)
    assert told is not None
    assert (told.actor_name, told.actor_avatar) == ("Member", None)
    told = await community.notifications.notify(user.id, "welcome")
    assert told is not None
    assert (told.actor_id, told.actor_name, told.data) == (None, None, None)
    row = await community.database.notifications.find_one({"_id": told.id}) or {}
    assert row.keys() == {"_id", "userId", "type", "data", "read", "createdAt"}
    assert row["data"] is None
    assert await violations(community.database) == []


@pytest.mark.quick("notifications")
async def test_nobody_is_told_what_they_did(community: Community) -> None:
    user = await person(community)
    assert await community.notifications.notify(user.id, "like", actor_id=user.id) is None
    assert await community.notifications.notify_many([user.id], "like", actor_id=user.id) == 0
    assert await community.notifications.unread_count(user.id) == 0


async def test_user_and_actor_must_exist(community: Community) -> None:
    """Also one of many: then nobody is told."""
    user, missing = await person(community), UserId(ObjectId())
    notifications = community.notifications
    for call in (
        notifications.notify(missing, "like"),
        notifications.notify(user.id, "like", actor_id=missing),
        notifications.notify_many([user.id, missing], "like"),
        notifications.notify_many([user.id], "like", actor_id=missing),
        notifications.notify_many([], "like", actor_id=missing),
    ):
        with pytest.raises(NotFoundError, match=str(missing)):
            await call
    assert await community.database.notifications.count_documents({}) == 0


async def test_many_are_told_once_each_without_the_actor(community: Community) -> None:
    ids = [user.id for user in await people(community, 4)]
    actor = await community.users.create(name="Grace", avatar_storage_id=StorageId("grace.png"))
    told = await community.notifications.notify_many(
        [*ids, *ids[:2], actor.id], "event", actor_id=actor.id, data={"word": "party"}
    )
    assert told == 4
    rows = await community.database.notifications.find().to_list()
    assert sorted(row["userId"] for row in rows) == sorted(ids)
    assert {(row["actorName"], row["actorAvatar"]) for row in rows} == {("Grace", "grace.png")}
    assert {(row["data"]["word"], row["read"]) for row in rows} == {("party", False)}
    assert len({row["_id"] for row in rows}) == 4
    assert await community.notifications.notify_many([], "event") == 0
    assert await community.notifications.notify_many({*ids}, "event") == 4
    assert await violations(community.database) == []


async def test_ten_thousand_are_told_in_batches(community: Community) -> None:
    """A round trip for each 1,000, and 3 besides; none of them scans."""
    ids = await _some_users(community, 10_000)
    actor = await person(community)
    with count_commands(community) as commands:
        assert (
            await community.notifications.notify_many(ids, "event", actor_id=actor.id, data={"id": actor.id}) == 10_000
        )
    names = [command.name for command in commands]
    assert names == ["find", "aggregate", *["insert"] * 10, "commitTransaction"]
    _, stages = await keys_and_stages(community.database, commands[1])
    assert "COLLSCAN" not in stages
    assert await community.database.notifications.count_documents({}) == 10_000
    assert await community.notifications.unread_count(ids[-1]) == 1


async def test_a_transaction_takes_all_of_them_along(community: Community) -> None:
    ids = await _some_users(community, 1_500)

    async def work() -> None:
        assert await community.notifications.notify_many(ids, "event") == 1_500
        raise KeyError

    with pytest.raises(KeyError):
        await community.transaction(work)
    assert await community.database.notifications.count_documents({}) == 0


async def test_the_lists_are_newest_first(community: Community) -> None:
    """Page by page, of the user alone, with a key for each item."""
    user, other = await people(community, 2)
    rows = await _told(community, user, 60)
    await _told(community, other, 10)
    newest = [row["_id"] for row in sorted(rows, key=lambda row: (row["createdAt"], row["_id"]), reverse=True)]
    unread = {row["_id"] for row in rows if not row["read"]}
    for lister, expected in (
        (community.notifications.recent, newest),
        (community.notifications.unread, [id for id in newest if id in unread]),
    ):
        assert [item.id for item in await read_all(lister, user.id, limit=7)] == expected
        first = await lister(user.id, limit=10)
        with count_commands(community) as commands:
            await lister(user.id, limit=10, after=first.next)
        (command,) = commands
        keys, stages = await keys_and_stages(community.database, command)
        assert keys <= 11
        assert not {"SORT", "COLLSCAN"} & stages


async def test_the_badge_is_a_covered_count(community: Community) -> None:
    """One round trip in which no document is examined."""
    user, other = await people(community, 2)
    await _told(community, user, 60)
    await _told(community, other, 30)
    with count_commands(community) as commands:
        assert await community.notifications.unread_count(user.id) == 40
    (command,) = commands
    (plain,) = statements(command.document)
    explained = str(await community.database.command("explain", plain, verbosity="executionStats"))
    assert "'totalDocsExamined': 0" in explained
    assert "'totalKeysExamined': 4" in explained
    assert "FETCH" not in explained


async def test_reading_one(community: Community) -> None:
    """True the first time; somebody else's, a missing one and one that is read are not marked."""
    user, other = await people(community, 2)
    told = await community.notifications.notify(user.id, "like")
    assert told is not None
    notifications = community.notifications
    assert not await notifications.mark_read(other.id, told.id)
    assert not await notifications.mark_read(user.id, NotificationId(ObjectId()))
    marked = await asyncio.gather(*(notifications.mark_read(user.id, told.id) for _ in range(4)))
    assert sorted(marked) == [False, False, False, True]
    assert (await notifications.get(told.id)).read
    assert await notifications.unread_count(user.id) == 0


async def test_reading_all_is_one_update(community: Community) -> None:
    """It gives how many were new, and touches nobody else's."""
    user, other = await people(community, 2)
    await _told(community, user, 60)
    await _told(community, other, 30)
    with count_commands(community) as commands:
        assert await community.notifications.mark_all_read(user.id) == 40
    command, commit = commands
    assert (command.name, commit.name) == ("update", "commitTransaction")
    assert await community.notifications.mark_all_read(user.id) == 0
    assert await community.notifications.unread_count(user.id) == 0
    assert await community.notifications.unread_count(other.id) == 20
    (update,) = command.document["updates"]
    of_other = {"updates": [update | {"q": {"userId": other.id, "read": False}}]}
    keys, stages = await keys_and_stages(
        community.database, replace(command, document={**command.document, **of_other})
    )
    assert keys <= 21
    assert "COLLSCAN" not in stages


async def test_deleting_one(community: Community) -> None:
    told = await community.notifications.notify((await person(community)).id, "like")
    assert told is not None
    await community.notifications.delete(told.id)
    assert await community.notifications.find(told.id) is None
    with pytest.raises(NotFoundError):
        await community.notifications.delete(told.id)


def _nested(depth: int) -> Any:
    data: Any = 1
    for _ in range(depth):
        data = [data]
    return data


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"user_id": "5" * 24}, "user_id"),
        ({"user_id": {"$gt": ""}}, "user_id"),
        ({"type": ""}, "type"),
        ({"type": "x" * 101}, "type"),
        ({"type": {"$ne": 1}}, "type"),
        ({"actor_id": "5" * 24}, "actor_id"),
        ({"data": {"$set": 1}}, "data"),
        ({"data": {"a.b": 1}}, "data"),
        ({"data": {1: 1}}, "data"),
        ({"data": [float("nan")]}, "data"),
        ({"data": object()}, "data"),
        ({"data": _nested(300)}, None),
    ],
)
async def test_bad_input(community: Community, changed: dict[str, Any], field: str | None) -> None:
    """Refused with the name of the field by both; what is too deep for MongoDB, as a document."""
    user = await person(community)
    arguments: dict[str, Any] = {"user_id": user.id, "type": "like", **changed}
    many = {("user_ids" if name == "user_id" else name): value for name, value in arguments.items()}
    many["user_ids"] = [arguments["user_id"]]
    for call in (community.notifications.notify(**arguments), community.notifications.notify_many(**many)):
        with pytest.raises(InvalidInputError) as error:
            await call
        if field is not None:
            assert error.value.field.split(".")[0].split("[")[0].removesuffix("s") == field
    assert await community.database.notifications.count_documents({}) == 0


async def test_data_that_is_too_large_is_bad_input(community: Community) -> None:
    """MongoDB's documents have 16 MB at most."""
    user = await person(community)
    with pytest.raises(InvalidInputError):
        await community.notifications.notify(user.id, "like", data=["x" * 100_000] * 200)


@pytest.mark.parametrize("bad", ["5" * 24, {"$gt": ""}, None, 5])
async def test_bad_ids(community: Community, bad: Any) -> None:
    notifications, id = community.notifications, ObjectId()
    for call, field in (
        (notifications.recent(bad), "user_id"),
        (notifications.unread(bad), "user_id"),
        (notifications.unread_count(bad), "user_id"),
        (notifications.mark_read(bad, NotificationId(id)), "user_id"),
        (notifications.mark_read(UserId(id), bad), "id"),
        (notifications.mark_all_read(bad), "user_id"),
        (notifications.delete(bad), "id"),
        (notifications.notify_many(bad, "like"), "user_ids"),
    ):
        with pytest.raises(InvalidInputError) as error:
            await call
        assert error.value.field == field
