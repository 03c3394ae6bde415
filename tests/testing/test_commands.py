"""`count_commands` sees exactly what is sent."""

import asyncio
from typing import Any

import pytest
from pymongo import AsyncMongoClient
from pymongo.errors import WriteError

from datalayer import Community, Stories
from datalayer.errors import DataLayerError
from datalayer.testing import CommandLog, Factories, count_commands, open_database


async def test_each_round_trip_is_a_command(community: Community) -> None:
    """With its collection and all that was sent, as soon as it is sent; nothing from before or after the block."""
    ada = await community.users.create(name="Ada")
    with count_commands(community) as commands:
        await community.users.create(name="Eve")
        (insert,) = commands
        await community.transaction(lambda: community.users.update_profile(ada.id, bio="x"))
        with pytest.raises(WriteError):
            await community.database.users.insert_one({})
    await community.users.get(ada.id)
    assert insert.document["documents"][0]["name"] == "Eve"
    assert [(command.name, command.collection) for command in commands] == [
        ("insert", "users"),
        ("findAndModify", "users"),
        ("commitTransaction", None),
        ("insert", "users"),
    ]


async def test_what_a_cursor_fetches_later_is_of_its_collection(community: Community) -> None:
    for _ in range(5):
        await community.users.create()
    with count_commands(community) as commands:
        assert len(await community.database.users.find({}, batch_size=2).to_list()) == 5
    assert [(command.name, command.collection) for command in commands] == [
        ("find", "users"),
        *[("getMore", "users")] * 2,
    ]


async def test_blocks_may_be_nested_and_overlap(community: Community) -> None:
    """Each list has what was sent during its own block, by whatever task."""
    with count_commands(community) as outer:
        with count_commands(community) as same, count_commands(community) as inner:
            await asyncio.gather(*(community.users.create() for _ in range(3)))
        await community.users.create()
    await community.users.create()
    assert (len(outer), len(same), len(inner)) == (4, 3, 3)


async def test_other_clients_are_not_counted(community: Community, stories: Stories) -> None:
    with count_commands(community) as commands:
        await stories.stories.create("A story")
    assert commands == []


async def test_a_client_without_a_log_is_refused(
    community: Community, client: AsyncMongoClient[dict[str, Any]], datalayer_uri: str
) -> None:
    """The error says what to add; with that it works."""
    without = Community(client[community.database.name], community.clock)
    what_to_add = r"event_listeners=\[datalayer\.testing\.CommandLog\(\)\]"
    with pytest.raises(DataLayerError, match=what_to_add), count_commands(without):
        pytest.fail("it was counted")
    async with AsyncMongoClient(datalayer_uri, event_listeners=[CommandLog()]) as other:
        opened = Community(other.get_default_database(), community.clock)
        with count_commands(opened) as commands:
            await opened.users.directory()
        assert len(commands) == 1


async def test_an_open_database_is_of_its_own() -> None:
    """On a server of its own, empty, with the clock that is given and a log."""
    async with open_database(Community, clock=lambda: 5) as community:
        with count_commands(community) as commands:
            user = await Factories(community).user()
        assert (user.created_at, len(commands)) == (5, 1)
        assert len((await community.users.directory()).items) == 1
