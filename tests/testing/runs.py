"""The tests of a user, for runs of pytest of their own."""

TESTS = """
import os
from pathlib import Path

import pytest
from pymongo import AsyncMongoClient, MongoClient

from datalayer import Community, Stories
from datalayer.documents import User
from datalayer.errors import AlreadyExistsError, NotFoundError
from datalayer.ids import UserId
from bson import ObjectId

pytestmark = pytest.mark.{mark}


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
        await community.likes.like(UserId(ObjectId()), "post", ObjectId())

    await community.users.create(name="Ada")
    await community.transaction(work)


async def beanie(community, stories, uri):
    assert await User.find().count() == 0
    await User(**(await community.users.create(name="Ada")).model_dump() | {{"id": ObjectId()}}).insert()
    assert await User.find().count() == 2


async def driver(community, stories, uri):
    await community.database.users.insert_one((await community.users.create(name="Ada")).to_wire() | {{"_id": ObjectId()}})


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
        client.get_default_database().users.insert_one((await community.users.create(name="Ada")).to_wire() | {{"_id": ObjectId()}})


async def dropped_index(community, stories, uri):
    await community.database.users.drop_index("by_role")


async def dropped_collection(community, stories, uri):
    await stories.database.stories.drop()


async def renamed_collection(community, stories, uri):
    await community.database.posts.rename("things")


async def dropped_database(community, stories, uri):
    await community.database.client.drop_database(community.database.name)


async def nothing(community, stories, uri):
    pass


WAYS = [
    pytest.param(repositories),
    pytest.param(transaction),
    pytest.param(failing_transaction, marks=pytest.mark.xfail(raises=NotFoundError, strict=True)),
    *(beanie, driver, other_collection, other_database, connection_of_the_application, other_driver),
    *(dropped_index, dropped_collection, renamed_collection, dropped_database, nothing),
]


@pytest.mark.parametrize("write", WAYS)
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
"""Each finds everything as it should be at first, and leaves something behind, in one of many ways."""
