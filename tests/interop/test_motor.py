"""A service that is still on Motor shares the database."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from motor.motor_asyncio import AsyncIOMotorClient, AsyncIOMotorDatabase
from pymongo.errors import DuplicateKeyError, WriteError

from datalayer import Community
from datalayer.engine.ids import new_object_id
from datalayer.errors import AlreadyExistsError
from tests.community.world import person, post
from tests.examples import ALL_DOCUMENTS, full_wire


@pytest.fixture
async def motor(server_uri: str, community: Community) -> AsyncIterator[AsyncIOMotorDatabase[dict[str, Any]]]:
    """The community's database through Motor."""
    client: AsyncIOMotorClient[dict[str, Any]] = AsyncIOMotorClient(server_uri)
    yield client[community.database.name]
    client.close()


async def test_what_is_written_here_is_read_there(
    community: Community, motor: AsyncIOMotorDatabase[dict[str, Any]]
) -> None:
    """With the original's names and types, and without nulls."""
    made = await post(community)
    await community.likes.like(made.author_id, "post", made.id)
    stored = await motor.posts.find_one({"_id": made.id})
    assert stored == {**made.to_wire(), "likeCount": 1}
    (like,) = await motor.likes.find({"targetType": "post", "targetId": made.id}).to_list(None)
    assert like["userId"] == made.author_id


@pytest.mark.parametrize("document", [document for document in ALL_DOCUMENTS if document in Community.documents])
async def test_what_is_written_there_is_read_here(
    document: Any, community: Community, motor: AsyncIOMotorDatabase[dict[str, Any]]
) -> None:
    """Every table's documents, as the same classes."""
    wire = {name: value for name, value in full_wire(document).items() if name != "deletedAt"}
    await motor[document.Settings.name].insert_one(dict(wire))
    try:
        stored = await community.database[document.Settings.name].find_one({"_id": wire["_id"]})
        assert document.from_wire(stored).to_wire() == wire
    finally:
        await motor[document.Settings.name].delete_one({"_id": wire["_id"]})


async def test_the_rules_hold_for_both(community: Community, motor: AsyncIOMotorDatabase[dict[str, Any]]) -> None:
    """The database refuses there what it refuses here: other types, and two of a kind."""
    user = await person(community)
    with pytest.raises(WriteError, match="validation"):
        await motor.users.update_one({"_id": user.id}, {"$set": {"points": "many"}})
    await motor.users.insert_one({**user.to_wire(), "_id": new_object_id(), "authUserId": "auth|1"})
    with pytest.raises(AlreadyExistsError):
        await community.users.create(auth_user_id="auth|1")
    with pytest.raises(DuplicateKeyError):
        await motor.users.insert_one({**user.to_wire(), "_id": new_object_id(), "authUserId": "auth|1"})
    found = await community.users.by_auth_user_id("auth|1")
    await motor.users.delete_one({"_id": found.id if found else None})
