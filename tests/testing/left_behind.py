"""Tests as a user has them, each of which finds everything empty, and leaves something behind in a way of its own.

`test_plugin.py` copies this file into runs of pytest of their own, with other marks.
"""

import os
from pathlib import Path

import pytest
from bson import ObjectId
from pymongo import MongoClient

from datalayer import Community, Stories
from datalayer.documents import User
from datalayer.errors import NotFoundError
from datalayer.ids import PostId, UserId

pytestmark = pytest.mark.asyncio

ROW = {"visibility": "public", "role": "member", "points": 0, "level": 1, "createdAt": 1, "updatedAt": 1}


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """The event loop that pymongo has."""
    return "asyncio"


async def repositories(community: Community, stories: Stories, _uri: str) -> None:
    user, space = await community.users.create(name="Ada"), await community.spaces.create(name="General")
    await community.posts.create(space.id, user.id, content="x", content_html="x")
    await stories.stories.create("A story")


async def failing_transaction(community: Community, _stories: Stories, _uri: str) -> None:
    async def work() -> None:
        user = await community.users.create(name="Ada")
        await community.likes.like(user.id, "post", PostId(ObjectId()))

    await community.users.create(name="Ada")
    await community.transaction(work)


async def connection_of_the_application(community: Community, _stories: Stories, uri: str) -> None:
    async with Community.connect(uri) as opened, Stories.connect(uri) as others:
        user = await opened.users.create(name="Ada")
        await others.stories.create("A story")
    assert (await community.users.get(user.id)).name == "Ada"


async def beanie(community: Community, _stories: Stories, _uri: str) -> None:
    user = User.model_validate(ROW)
    await community.database.users.insert_one(user.to_wire())
    assert await User.get(user.id) == await community.users.get(user.id) == user


async def transaction(community: Community, _stories: Stories, _uri: str) -> None:
    await community.transaction(lambda: community.users.create(name="Ada"))


async def driver(community: Community, _stories: Stories, _uri: str) -> None:
    await community.database.users.insert_one(dict(ROW))


async def other_driver(community: Community, _stories: Stories, uri: str) -> None:
    with MongoClient(uri) as client:
        id = client.get_default_database().users.insert_one(dict(ROW)).inserted_id
    assert (await community.users.get(UserId(id))).role == "member"


async def other_collection(community: Community, _stories: Stories, _uri: str) -> None:
    await community.database.things.insert_one({"a": 1})


async def other_database(_community: Community, stories: Stories, _uri: str) -> None:
    await stories.database.client.other.things.insert_one({"a": 1})


async def dropped_index(community: Community, _stories: Stories, _uri: str) -> None:
    await community.database.users.drop_index("by_role")


async def renamed_collection(community: Community, _stories: Stories, _uri: str) -> None:
    await community.database.posts.rename("things")


async def nothing(_community: Community, _stories: Stories, _uri: str) -> None:
    pass


WAYS = [
    repositories,
    pytest.param(failing_transaction, marks=pytest.mark.xfail(raises=NotFoundError, strict=True)),
    *(connection_of_the_application, beanie, transaction, driver, other_driver),
    *(other_collection, other_database, dropped_index, renamed_collection, nothing),
]


@pytest.mark.parametrize("leave", WAYS)
async def test_everything_is_empty_before(community: Community, stories: Stories, datalayer_uri: str, leave) -> None:  # noqa: ANN001 - one of the functions above
    """The schema is whole, no collection has a document, and there is no other database."""
    database = community.database
    server = (await database.client.admin.command("serverStatus"))["pid"]
    with Path(os.environ["SERVERS"]).open("a") as file:  # noqa: ASYNC230 - nothing else runs
        file.write(f"{server}\n")
    async with Community.over(database, schema="verify"), Stories.over(stories.database, schema="verify"):
        counts = {name: await database[name].count_documents({}) for name in await database.list_collection_names()}
    assert len(counts) == 27
    assert set(counts.values()) == {0}
    assert set(await database.client.list_database_names()) - {"admin", "config", "local"} == {database.name}
    await leave(community, stories, datalayer_uri)
