"""What only a server can do is refused in memory, and nothing has happened then."""

import asyncio
import subprocess
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from bson import ObjectId
from pymongo import ReplaceOne, UpdateOne

from datalayer import Community, Stories
from datalayer.documents import Post
from datalayer.errors import MissingExtraError, NotSupportedInMemory
from datalayer.ids import UserId
from datalayer.testing.memory import open_in_memory, transactions
from tests.community.world import post

SERVER_ONLY: dict[str, Callable[[Any], Awaitable[object]]] = {
    "a collation": lambda users: users.find({"name": "ada"}, collation={"locale": "en", "strength": 2}).to_list(),
    "a negation": lambda users: users.find({"$nor": [{"name": "Ada"}]}).to_list(),
    "an operator": lambda users: users.find({"name": {"$regex": "^A"}}).to_list(),
    "an excluding projection": lambda users: users.find({}, {"name": 0}).to_list(),
    "an array filter": lambda users: users.update_one({}, {"$set": {"a.$[x]": 1}}, array_filters=[{"x": 1}]),
    "a path": lambda users: users.update_many({}, {"$set": {"notificationPrefs.emailReplies": True}}),
    "an update operator": lambda users: users.update_one({}, {"$rename": {"bio": "name"}}),
    "an upsert by a range": lambda users: users.update_one(
        {"points": {"$gt": 9}}, {"$set": {"name": "x"}}, upsert=True
    ),
    "a stage": lambda users: users.aggregate([{"$facet": {"all": []}}]),
    "an expression": lambda users: users.aggregate([{"$set": {"points": {"$multiply": ["$points", 2]}}}]),
    "an accumulator": lambda users: users.aggregate([{"$group": {"_id": None, "points": {"$avg": "$points"}}}]),
    "an output": lambda users: users.aggregate([{"$merge": {"into": "users"}}]),
    "a replacement": lambda users: users.bulk_write([ReplaceOne({"name": "Ada"}, {})]),
    "a collation in bulk": lambda users: users.bulk_write(
        [UpdateOne({"name": "ada"}, {"$set": {"name": "x"}}, collation={"locale": "en"})]
    ),
    "a hint of no index": lambda users: users.find({}, hint="by_name").to_list(),
    "a hint of an index that has not all": lambda users: users.find({}, hint="by_authUserId").to_list(),
    "a lookup without a pipeline": lambda users: users.aggregate(
        [{"$lookup": {"from": "posts", "localField": "_id", "foreignField": "authorId", "as": "x"}}]
    ),
    "a lookup in the middle": lambda users: users.aggregate(
        [
            {"$lookup": {"from": "posts", "localField": "_id", "foreignField": "authorId", "pipeline": [], "as": "x"}},
            {"$match": {"x": []}},
        ]
    ),
    "an update by a pipeline": lambda users: users.update_one({}, [{"$set": {"points": 1}}]),
    "a number for a truth": lambda users: users.find({"points": True}).to_list(),
    "an order by an object": lambda users: users.find(sort={"notificationPrefs": 1}).to_list(),
    "a change of a field twice": lambda users: users.update_one({}, {"$set": {"points": 1}, "$inc": {"points": 1}}),
}


@pytest.mark.parametrize("what", SERVER_ONLY)
async def test_what_only_a_server_can(what: str) -> None:
    async with open_in_memory(Community) as community:
        ada = await community.users.create(name="Ada", bio="Counts")
        with pytest.raises(NotSupportedInMemory, match="embedded server"):
            await SERVER_ONLY[what](community.database["users"])
        assert await community.users.get(ada.id) == ada


@pytest.mark.parametrize("what", ["watch", "create_index", "distinct", "replace_one", "drop"])
async def test_methods_that_are_not_there(what: str) -> None:
    async with open_in_memory(Community) as community:
        with pytest.raises(NotSupportedInMemory, match=what):
            getattr(community.database["users"], what)


async def test_collections_that_no_document_declares() -> None:
    async with open_in_memory(Community) as community:
        assert await community.database["chapters"].find_one({}) is None
        with pytest.raises(NotSupportedInMemory, match="insert_one"):
            await community.database["chapters"].insert_one({})
        with pytest.raises(NotSupportedInMemory, match="command"):
            _ = community.database.command


QUERIES: dict[str, Callable[[], Any]] = {
    "a field": lambda: Post.find(Post.like_count > 1).to_list(),  # type: ignore[arg-type, operator]
    "one": lambda: Post.find_one({"likeCount": 1}),
    "an id": lambda: Post.get(ObjectId()),
    "a count": lambda: Post.find_all().count(),
    "a pipeline": lambda: Post.aggregate([]).to_list(),
}


@pytest.mark.parametrize("what", QUERIES)
async def test_queries_of_beanie(what: str) -> None:
    async with open_in_memory(Community):
        with pytest.raises(NotSupportedInMemory, match="Beanie's own queries"):
            await QUERIES[what]()


async def test_afterwards_queries_of_beanie_go_where_they_went_before(community: Community) -> None:
    await post(community)
    async with open_in_memory(Community):
        pass
    assert await Post.find_all().count() == 1


def test_a_program_that_opens_no_other_database() -> None:
    """Beanie knows nothing of the classes then."""
    subprocess.run([sys.executable, "-c", PROGRAM], check=True, timeout=60)  # noqa: S603


PROGRAM = """
import asyncio
from datalayer import Community
from datalayer.documents import Post
from datalayer.errors import NotSupportedInMemory
from datalayer.testing.memory import open_in_memory

async def main():
    async with open_in_memory(Community):
        try:
            await Post.find(Post.like_count > 1).to_list()
        except NotSupportedInMemory:
            return
    raise AssertionError

asyncio.run(main())
"""


async def test_each_has_data_of_its_own() -> None:
    async with open_in_memory(Community) as one, open_in_memory(Community) as other, open_in_memory(Stories) as stories:
        ada = await one.users.create(name="Ada")
        assert await other.users.find(ada.id) is None
        assert (await stories.stories.list()).items == []


async def test_the_clock_is_the_given_one() -> None:
    async with open_in_memory(Community, clock=lambda: 42) as community:
        assert (await community.users.create(name="Ada")).created_at == 42


async def test_a_transaction_that_waits_for_who_waits_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Transactions run one after the other; on a server these two would not meet."""
    monkeypatch.setattr(transactions, "WAIT_SECONDS", 0.01)
    async with open_in_memory(Community) as community:
        asked = asyncio.Event()

        async def read() -> object:
            await asked.wait()
            return await community.users.find(UserId(ObjectId()))

        async def work() -> None:
            await community.users.create(name="Ada")
            asked.set()
            await reader

        reader = asyncio.create_task(read())
        with pytest.raises(NotSupportedInMemory, match="another task"):
            await community.transaction(work)


async def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says how to install it."""
    monkeypatch.setitem(sys.modules, "mongomock_motor", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'opentribe-datalayer\[memory\]'"):
        async with open_in_memory(Community):
            pass
