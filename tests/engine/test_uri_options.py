"""The guarantees hold whatever the URI says."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
from pymongo import AsyncMongoClient

from datalayer import Community
from datalayer.engine.client import open_client
from datalayer.testing import CommandLog, Factories

OPTIONS: list[dict[str, Any]] = [
    # No server can be selected for this where there is no secondary: nothing may use it.
    {"readPreference": "secondary", "serverSelectionTimeoutMS": 2_000},
    {"readPreference": "secondaryPreferred"},
    {"readPreference": "nearest", "readPreferenceTags": "dc:east"},
    {"readPreference": "secondary", "maxStalenessSeconds": 90, "serverSelectionTimeoutMS": 2_000},
    {"readConcernLevel": "available"},
    {"readConcernLevel": "linearizable"},
    {"w": 0},
    {"w": 1, "journal": False},
    {"retryReads": False},
]


@pytest.fixture(scope="module", autouse=True)
async def dropped(client: AsyncMongoClient[dict[str, Any]]) -> AsyncIterator[None]:
    """The first test makes the schema, and the others find it."""
    yield
    await client.drop_database("uri_options")


@pytest.mark.parametrize("way", ["connect", "over"])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
async def test_it_reads_from_the_primary_and_writes_to_a_majority(
    options: Mapping[str, Any], way: str, server_uri: str
) -> None:
    """Opening with the schema, single writes and reads, transactions, group commits, snapshots and pages."""
    given = "&".join(f"{name}={str(value).lower() if value is False else value}" for name, value in options.items())
    uri, log = server_uri.replace("/?", "/uri_options?") + f"&{given}", CommandLog()
    async with AsyncMongoClient[dict[str, Any]](uri, event_listeners=[log]) as own, asyncio.timeout(60):
        opening = Community.connect(uri) if way == "connect" else Community.over(own.get_default_database())
        with log.recorded() as commands:
            async with opening as community:
                await _use(community)
    for command in commands:
        sent = command.document
        assert sent.get("$readPreference", {"mode": "primary"})["mode"].startswith("primary"), sent
        if command.name in {"insert", "update", "delete", "findAndModify"} and "autocommit" not in sent:
            assert sent["writeConcern"] == {"w": "majority"}, sent
        is_read_of_nothing = command.collection == "nothing"
        level = sent.get("readConcern", {}).get("level")
        assert level == "local" if is_read_of_nothing else level in (None, "snapshot"), sent
    if way == "over":
        commits = [command.document["writeConcern"]["w"] for command in commands if command.name == "commitTransaction"]
        # The last one is of the transaction that replaces the cancelled one: it has read nothing, once.
        assert [c.name for c in commands if c.collection == "nothing"] == ["find"]
        assert commits[-1] == 1
        assert set(commits[:-1]) == {"majority"}


async def _use(community: Community) -> None:
    make = Factories(community)
    post, user = await make.post(), await make.user()
    assert (await community.likes.like(user.id, "post", post.id)).like_count == 1
    assert await community.users.get_many([user.id])
    assert (await community.posts.recent()).items[0] == await community.posts.get(post.id)

    async def work() -> int:
        await community.users.update_profile(user.id, bio="x")
        await community.comments.create(post.id, user.id, "Hello")
        return (await community.posts.get(post.id)).comment_count

    assert await community.transaction(work) == 1
    async with community._connection.snapshot():
        assert (await community.users.get(user.id)).bio == "x"

    # A cancelled transaction is undone by a later one, which reads.
    async def cancelled() -> None:
        await community.users.update_profile(user.id, bio="y")
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await community.transaction(cancelled)
    assert (await community.users.update_profile(user.id, visibility="private")).bio == "x"


@pytest.mark.parametrize(("options", "seconds"), [("", 5), ("?serverSelectionTimeoutMS=700", 0.7)])
async def test_how_long_a_server_is_looked_for(options: str, seconds: float) -> None:
    """5 s, unless the URI says something else."""
    async with open_client(f"mongodb://localhost/{options}") as client:
        assert client.options.server_selection_timeout == seconds
