"""Announcements to very many: in batches that resume, once for each recipient."""

import asyncio
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from bson import ObjectId
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pymongo import MongoClient

from datalayer import Community
from datalayer.engine.ids import new_object_id
from datalayer.errors import IncompleteError, InvalidInputError, NotFoundError
from datalayer.ids import UserId
from datalayer.repositories import notifications
from datalayer.repositories.notifications import Notifications
from datalayer.testing import count_commands
from datalayer.testing.memory import open_in_memory
from tests.community.world import people, person


async def _users(community: Community, count: int) -> list[UserId]:
    """So many users, by one command."""
    wire = (await community.users.create()).to_wire()
    rows = [wire | {"_id": new_object_id()} for _ in range(count)]
    await community.database.users.insert_many(rows)
    return [row["_id"] for row in rows]


async def _told(community: Community, **filter: Any) -> list[ObjectId]:
    """The recipients of the notifications, with who got several as often."""
    return sorted([row["userId"] for row in await community.database.notifications.find(filter).to_list()])


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Five at once, twelve in one transaction."""
    monkeypatch.setattr(notifications, "BATCH", 5)
    monkeypatch.setattr(notifications, "MAX_AT_ONCE", 12)


@contextmanager
def _lost_inserts(server_uri: str, *, after: int) -> Iterator[None]:
    """So many inserts succeed; at each later one the server closes the connection."""
    lost = {"failCommands": ["insert"], "closeConnection": True}
    with MongoClient[Any](server_uri) as admin:
        admin.admin.command("configureFailPoint", "failCommand", mode={"skip": after}, data=lost)
        try:
            yield
        finally:
            admin.admin.command("configureFailPoint", "failCommand", mode="off")


@pytest.mark.usefixtures("small")
async def test_more_than_one_transaction_takes_are_told_in_batches(community: Community) -> None:
    """Each batch is a read and an insert; users and actor are looked at once, before."""
    ids, actor = await _users(community, 13), await person(community)
    with count_commands(community) as commands:
        told = await community.notifications.notify_many([*ids, *ids, actor.id], "fair", actor_id=actor.id, once="fair")
    assert told == 13
    assert [command.name for command in commands] == ["find", "aggregate", *["find", "insert"] * 3]
    assert await _told(community, once="fair", actorName="Ada") == sorted(ids)


@pytest.mark.usefixtures("small")
async def test_too_many_for_one_transaction_need_a_name(community: Community) -> None:
    """The error says so; inside a transaction they are refused with one, too. Nobody is told, and twelve still are."""
    ids = await _users(community, 13)
    notify_many = community.notifications.notify_many
    with pytest.raises(InvalidInputError, match="12 users") as error:
        await notify_many(ids, "fair")
    assert error.value.field == "once"

    async def work() -> int:
        with pytest.raises(InvalidInputError, match="12") as error:
            await notify_many(ids, "fair", once="fair")
        assert error.value.field == "user_ids"
        # It was a refusal, and the transaction goes on.
        return await notify_many(ids[:12], "fair", once="fair")

    assert await community.transaction(work) == 12
    assert await _told(community) == sorted(ids[:12])
    assert await notify_many(ids, "fair", once="fair") == 1
    assert await _told(community) == sorted(ids)


@pytest.mark.usefixtures("small")
@pytest.mark.thorough
async def test_an_interruption_and_the_next_call(community: Community, server_uri: str) -> None:
    """The error says that some may be told, and the next call tells the others."""
    ids = await _users(community, 28)
    notify_many = community.notifications.notify_many
    for batches, there in ((0, 0), (2, 10), (1, 15)):
        with _lost_inserts(server_uri, after=batches), pytest.raises(IncompleteError):
            await notify_many(ids, "fair", once="fair")
        assert await _told(community) == sorted(ids[:there])
    assert await notify_many(ids, "fair", once="fair") == 13
    assert await notify_many(ids, "fair", once="fair") == 0
    assert await _told(community) == sorted(ids)


@pytest.mark.usefixtures("small")
async def test_a_call_is_cancelled(community: Community, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between two batches: what is told stays, and the next call tells the others."""
    ids = await _users(community, 28)
    insert, inserted = Notifications._insert_new, asyncio.Event()

    async def insert_and_wait(*arguments: Any) -> int:
        await insert(*arguments)
        inserted.set()
        return await asyncio.Future[int]()

    with monkeypatch.context() as patch:
        patch.setattr(Notifications, "_insert_new", insert_and_wait)
        call = asyncio.create_task(community.notifications.notify_many(ids, "fair", once="fair"))
        await inserted.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
    assert await _told(community) == sorted(ids[:5])
    assert await community.notifications.notify_many(ids, "fair", once="fair") == 23
    assert await _told(community) == sorted(ids)


_KILLED = """
import asyncio, os, signal, sys
from pymongo import AsyncMongoClient
from datalayer import Community
from datalayer.repositories import notifications

notifications.BATCH, notifications.MAX_AT_ONCE = 5, 12
insert, calls = notifications.Notifications._insert_new, iter(range(2))

async def insert_and_die(*arguments):
    told = await insert(*arguments)
    if next(calls, None) is None:
        os.kill(os.getpid(), signal.SIGKILL)
    return told

notifications.Notifications._insert_new = insert_and_die

async def main():
    uri, name = sys.argv[1:]
    async with AsyncMongoClient(uri) as client, Community.over(client[name], schema="skip") as community:
        ids = [user["_id"] for user in await community.database["users"].find(sort={"_id": 1}).to_list()]
        await community.notifications.notify_many(ids, "fair", once="fair")

asyncio.run(main())
"""


@pytest.mark.usefixtures("small")
async def test_a_process_is_killed(community: Community, server_uri: str) -> None:
    """Behind the insert of the third batch: three are there, and the next call tells the others, each once."""
    await _users(community, 27)
    ids = sorted([row["_id"] for row in await community.database.users.find().to_list()])
    arguments = (sys.executable, "-c", _KILLED, server_uri, community.database.name)
    worker = await asyncio.create_subprocess_exec(*arguments)
    assert await worker.wait() == -signal.SIGKILL
    assert await _told(community) == ids[:15]
    assert await community.notifications.notify_many(ids, "fair", once="fair") == 13
    assert await _told(community) == ids


@pytest.mark.usefixtures("small")
async def test_callers_at_once_tell_each_user_once(community: Community) -> None:
    """Each user is told by one of them, whatever the order of their lists and however large these are."""
    ids = await _users(community, 30)
    lists = [ids, ids[::-1], ids[10:20], ids[15:] + ids[:15]]
    told = await asyncio.gather(*(community.notifications.notify_many(some, "fair", once="fair") for some in lists))
    assert sum(told) == 30
    assert await _told(community) == sorted(ids)


@pytest.mark.usefixtures("small")
async def test_a_missing_user_stops_it_before_anybody_is_told(community: Community) -> None:
    """Also one of the last batch, and the actor."""
    ids, missing = await _users(community, 20), UserId(ObjectId())
    notify_many = community.notifications.notify_many
    for call in (
        notify_many([*ids, missing], "fair", once="fair"),
        notify_many(ids, "fair", actor_id=missing, once="fair"),
    ):
        with pytest.raises(NotFoundError, match=str(missing)):
            await call
    assert await _told(community) == []


@pytest.mark.usefixtures("small")
async def test_batches_in_memory() -> None:
    """They are told there as well, once each."""
    async with open_in_memory(Community) as community:
        ids = [user.id for user in await people(community, 13)]
        assert await community.notifications.notify_many(ids[:3], "fair", once="fair") == 3
        assert await community.notifications.notify_many(ids, "fair", once="fair") == 10
        assert [await community.notifications.unread_count(id) for id in ids] == [1] * 13


calls = st.tuples(
    st.sampled_from([None, "fair", "market"]), st.lists(st.integers(0, 19), max_size=25), st.sampled_from([None, 0, 1])
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(calls, max_size=8))
@pytest.mark.usefixtures("small")
async def test_a_name_is_told_once(community: Community, made: list[tuple[str | None, list[int], int | None]]) -> None:
    """Whatever was told before, in which lists, by whom, and read: a call tells those who lack the announcement."""
    await community.database.notifications.delete_many({})
    ids = [user.id for user in (await community.users.directory()).items or await people(community, 20)]
    told: list[tuple[str, ObjectId]] = []
    for once, numbers, by in made:
        some = [ids[number] for number in numbers]
        wanted = {id for id in some if by is None or id != ids[by]}
        if once is None and len(wanted) > 12:
            continue
        new = {id for id in wanted if once is None or (once, id) not in told}
        actor_id = None if by is None else ids[by]
        assert await community.notifications.notify_many(some, "fair", actor_id=actor_id, once=once) == len(new)
        told += [(once or "", id) for id in new]
        await community.notifications.mark_all_read(ids[0])
    rows = await community.database.notifications.find().to_list()
    assert sorted((row.get("once", ""), row["userId"]) for row in rows) == sorted(told)


async def test_who_deleted_it_is_told_again(community: Community) -> None:
    user = await person(community)
    assert await community.notifications.notify_many([user.id], "fair", once="fair") == 1
    (row,) = (await community.notifications.recent(user.id)).items
    assert row.once == "fair"
    await community.notifications.delete(row.id)
    assert await community.notifications.notify_many([user.id], "fair", once="fair") == 1


@pytest.mark.parametrize("bad", ["", " ", "x" * 201, "\0", {"$ne": ""}, 5])
async def test_bad_names(community: Community, bad: Any) -> None:
    user = await person(community)
    with pytest.raises(InvalidInputError) as error:
        await community.notifications.notify_many([user.id], "fair", once=bad)
    assert error.value.field == "once"
    assert await _told(community) == []


@pytest.mark.usefixtures("small")
async def test_data_that_is_too_large_is_bad_input(community: Community) -> None:
    """Calling it again would not help: that is no `IncompleteError`."""
    ids = await _users(community, 13)
    with pytest.raises(InvalidInputError):
        await community.notifications.notify_many(ids, "fair", data=["x" * 100_000] * 200, once="fair")
    assert await _told(community) == []
