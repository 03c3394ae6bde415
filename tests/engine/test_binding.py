"""Beanie's queries go to the database that was opened last, of those that are still open."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import permutations
from typing import Any

import pytest
from pymongo import AsyncMongoClient

from datalayer import Community
from datalayer.documents import User

NAMES = [f"binding_{number}" for number in range(3)]


@pytest.fixture(scope="module", autouse=True)
async def databases(client: AsyncMongoClient[dict[str, Any]]) -> AsyncIterator[None]:
    """Databases with a user each, who has the database's name."""
    for name in NAMES:
        async with Community.over(client[name]) as community:
            await community.users.create(name=name)
    yield
    for name in NAMES:
        await client.drop_database(name)


@asynccontextmanager
async def _opened(way: str, name: str, client: AsyncMongoClient[dict[str, Any]], uri: str) -> AsyncIterator[None]:
    if way == "connect":
        async with Community.connect(uri.replace("/?", f"/{name}?"), schema="skip"):
            yield
    else:
        async with Community.over(client[name], schema="skip"):
            yield


@pytest.mark.parametrize("way", ["connect", "over"])
@pytest.mark.parametrize("closing", list(permutations(NAMES)), ids="".join)
async def test_it_is_the_last_one_that_is_open(
    way: str, closing: tuple[str, ...], client: AsyncMongoClient[dict[str, Any]], server_uri: str
) -> None:
    """In whichever order the databases are closed."""
    open_ones: dict[str, AsyncExitStack] = {}
    for name in NAMES:
        open_ones[name] = AsyncExitStack()
        await open_ones[name].enter_async_context(_opened(way, name, client, server_uri))
        assert [user.name for user in await User.find().to_list()] == [name]
    for name in closing:
        await open_ones.pop(name).aclose()
        if open_ones:
            assert [user.name for user in await User.find().to_list()] == [list(open_ones)[-1]]


async def test_one_database_can_be_open_twice(client: AsyncMongoClient[dict[str, Any]]) -> None:
    """Over one handle too: the first opening goes on when the second one ends."""
    database = client[NAMES[0]]
    async with Community.over(client[NAMES[1]], schema="skip"):
        async with Community.over(database, schema="skip"):
            async with Community.over(database, schema="skip"):
                pass
            assert [user.name for user in await User.find().to_list()] == [NAMES[0]]
        assert [user.name for user in await User.find().to_list()] == [NAMES[1]]


async def test_the_tests_database_comes_back(community: Community, client: AsyncMongoClient[dict[str, Any]]) -> None:
    """What the fixtures give is an open database like others."""
    await community.users.create(name="Ada")
    async with Community.over(client[NAMES[0]], schema="skip"):
        pass
    assert [user.name for user in await User.find().to_list()] == ["Ada"]
