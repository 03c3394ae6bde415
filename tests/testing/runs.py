"""The tests of a user, for runs of pytest of their own."""

TESTS = """
import os
from pathlib import Path

import pytest
from bson import ObjectId
from pymongo import MongoClient

from datalayer import Community, Stories
from datalayer.documents import User
from datalayer.errors import NotFoundError

pytestmark = pytest.mark.{mark}

ROW = {{"visibility": "public", "role": "member", "points": 0, "level": 1, "createdAt": 1, "updatedAt": 1}}


@pytest.fixture(scope="session")
def anyio_backend():
    return "asyncio"


async def repositories(community, stories, uri):
    user = await community.users.create(name="Ada")
    space = await community.spaces.create(name="General")
    await community.posts.create(space.id, user.id, content="x", content_html="x")
    await stories.stories.create("A story")


async def transaction(community, stories, uri):
    await community.transaction(lambda: community.users.create(name="Ada"))


async def failing_transaction(community, stories, uri):
    async def work():
        await community.users.create(name="Ada")
        await community.likes.like(ObjectId(), "post", ObjectId())

    await community.users.create(name="Ada")
    await community.transaction(work)


async def beanie(community, stories, uri):
    assert await User.find().count() == 0
    await User.model_validate(ROW).insert()
    assert len((await community.users.directory()).items) == 1


async def driver(community, stories, uri):
    await community.database.users.insert_one(dict(ROW))


async def other_collection(community, stories, uri):
    await community.database.things.insert_one({{"a": 1}})


async def other_database(community, stories, uri):
    await stories.database.client.other.things.insert_one({{"a": 1}})


async def connection_of_the_application(community, stories, uri):
    async with Community.connect(uri) as opened, Stories.connect(uri) as others:
        await opened.users.create(name="Ada")
        await others.stories.create("A story")
    assert [user.name for user in (await community.users.directory()).items] == ["Ada"]


async def other_driver(community, stories, uri):
    with MongoClient(uri) as client:
        client.get_default_database().users.insert_one(dict(ROW))


async def dropped_index(community, stories, uri):
    await community.database.users.drop_index("by_role")


async def renamed_collection(community, stories, uri):
    await community.database.posts.rename("things")


async def nothing(community, stories, uri):
    pass


WAYS = [
    repositories,
    pytest.param(failing_transaction, marks=pytest.mark.xfail(raises=NotFoundError, strict=True)),
    *(connection_of_the_application, beanie, transaction, driver, other_driver),
    *(other_collection, other_database, dropped_index, renamed_collection, nothing),
]


@pytest.mark.parametrize("write", WAYS[:{ways}])
async def test_it_is_empty_before_this_is_written(community, stories, datalayer_uri, write):
    with Path(os.environ["SERVERS"]).open("a") as file:
        file.write(datalayer_uri + "\\n")
    async with Community.over(community.database, schema="verify"), Stories.over(stories.database, schema="verify"):
        pass
    database = community.database
    counts = {{name: await database[name].count_documents({{}}) for name in await database.list_collection_names()}}
    assert len(counts) == 27
    assert set(counts.values()) == {{0}}
    assert set(await database.client.list_database_names()) - {{"admin", "config", "local"}} == {{database.name}}
    await write(community, stories, datalayer_uri)
"""
"""Each finds everything as it should be at first, and leaves something behind, in one of `ways` ways."""

ALL_WAYS, SOME_WAYS = 12, 5
