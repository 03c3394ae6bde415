"""What the types of the fields cannot say, and the database refuses all the same, whoever writes."""

import itertools
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from bson import Binary, Decimal128, Int64, ObjectId
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError
from pymongo import AsyncMongoClient
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import DuplicateKeyError, WriteError

from datalayer import Community
from datalayer.documents import CommunitySettings, Conversation, Document, Follow, Notification
from datalayer.documents.community_settings import SETTINGS_ID
from datalayer.engine.document import Record, new_id
from datalayer.engine.fields import MAX_DEPTH, MAX_INTEGER, MAX_KEY, MAX_STRING, MAX_VALUES, Json, Name
from datalayer.engine.indexes import TableSettings
from datalayer.engine.translation import translate
from datalayer.ids import CommunitySettingsId, UserId
from datalayer.schema import ensure_schema
from datalayer.schema.application import apply
from tests.examples import full_wire
from tests.indexes.things import Silence

Database = AsyncDatabase[dict[str, Any]]


async def refusal(database: Database, document: type[Document], wire: dict[str, Any]) -> str | None:
    """The field that the database refuses, if it does."""
    try:
        await database[document.Settings.name].insert_one(full_wire(document) | {"_id": ObjectId()} | wire)
    except DuplicateKeyError:
        raise
    except WriteError as error:
        return str(translate(error)).partition(":")[0]
    return None


async def test_there_is_one_settings_document(community: Community) -> None:
    """Its id is the only one that there may be; the class gives it."""
    assert await refusal(community.database, CommunitySettings, {}) == "_id"
    assert await refusal(community.database, CommunitySettings, {"_id": SETTINGS_ID}) is None
    with pytest.raises(DuplicateKeyError):
        await community.database.communitySettings.insert_one(full_wire(CommunitySettings))
    assert CommunitySettings(name="Ours", updated_at=0).id == SETTINGS_ID
    with pytest.raises(ValidationError, match="must be the id of the settings"):
        CommunitySettings(id=CommunitySettingsId(ObjectId()), name="Ours", updated_at=0)


async def test_there_is_one_conversation_for_each_pair(community: Community) -> None:
    """Of all pairs of three people, in either order, three are taken; nobody talks to themselves."""
    people = sorted(ObjectId() for _ in range(3))
    taken = 0
    for pair in [*itertools.product(people, repeat=2), *itertools.combinations(people, 2)]:
        wire = {"participantIds": list(pair)}
        try:
            refused = await refusal(community.database, Conversation, wire)
        except DuplicateKeyError:
            continue
        assert (refused is None) == (pair[0] < pair[1])
        assert refused in (None, "participantIds")
        assert refused is None or _class_refuses(Conversation, participant_ids=list(pair), last_message_at=1)
        taken += refused is None
    assert taken == 3
    for wrong in (5, [people[0]], people, [str(people[0]), str(people[1])]):
        assert await refusal(community.database, Conversation, {"participantIds": wrong}) == "participantIds"


async def test_nobody_follows_themselves(community: Community) -> None:
    one, other = ObjectId(), ObjectId()
    assert await refusal(community.database, Follow, {"followerId": one, "followingId": one}) == "followerId"
    assert await refusal(community.database, Follow, {"followerId": one, "followingId": other}) is None
    assert _class_refuses(Follow, follower_id=one, following_id=one, created_at=1)


def _class_refuses(document: type[Document], **values: Any) -> bool:
    with pytest.raises(ValidationError, match="must be"):
        document(**values)
    return True


_words = st.text(st.sampled_from("a$.\0é"), max_size=3)
_scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-MAX_INTEGER - 2, MAX_INTEGER + 2),
    st.floats(),
    _words,
    st.builds(ObjectId),
    st.sampled_from([datetime.now(UTC), Binary(b"x"), b"x", Decimal128("1.5"), Int64(3)]),
)
_values = st.recursive(
    _scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_words.filter(lambda key: "\0" not in key), inner),
    max_leaves=6,
)


def nested(depth: int, *, objects: bool) -> Any:
    """A number in so many lists, or objects."""
    value: Any = 1
    for _ in range(depth):
        value = {"a": value} if objects else [value]
    return value


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=_values)
@example(value={"$set": {"admin": True}})
@example(value=[{"a": [{"b.c": 1}]}])
@example(value={"at": [[datetime.now(UTC)]]})
@example(value={"": 1})
@example(value=MAX_INTEGER)
@example(value=MAX_INTEGER + 1)
@example(value=-MAX_INTEGER - 1)
@example(value=nested(MAX_DEPTH, objects=False))
@example(value=nested(MAX_DEPTH + 1, objects=False))
@example(value=nested(MAX_DEPTH, objects=True))
@example(value=nested(MAX_DEPTH + 1, objects=True))
@example(value=list(range(MAX_VALUES)))
@example(value=list(range(MAX_VALUES + 1)))
@example(value="é" * MAX_STRING)
@example(value="a" * (MAX_STRING + 1))
@example(value={"é" * MAX_KEY: 1})
@example(value={"a" * (MAX_KEY + 1): 1})
async def test_what_is_json_for_the_class_is_json_for_the_database(community: Community, value: Any) -> None:
    """The same values, at any depth: no dates, no keys with a dollar in front, nothing over a limit."""
    try:
        TypeAdapter[Any](Json).validate_python(value, strict=True)
    except ValidationError:
        expected = "data"
    else:
        expected = None
    assert await refusal(community.database, Notification, {"data": value}) == expected


async def test_documents_of_before_a_check_are_reported(community: Community) -> None:
    """Whatever they are like, `apply` names them and sets nothing; when they are gone, it does."""
    database = community.database.client[f"checks_{uuid4().hex[:8]}"]
    try:
        one, other = sorted((ObjectId(), ObjectId()))
        rows = [{"participantIds": pair, "lastMessageAt": 1} for pair in ([other, one], 5, [], None, [one, other])]
        await database.conversations.insert_many(rows)
        outcome = await apply(database, [Conversation], Silence())
        (why,) = (why for step, why in outcome.blocked.items() if step.validator is not None)
        assert why.startswith("4 in conversations, for example ObjectId(")
        assert not outcome.ready
        await database.conversations.delete_many({"participantIds": {"$ne": [one, other]}})
        assert (await apply(database, [Conversation], Silence())).ready
    finally:
        await community.database.client.drop_database(database)


class Part(Record):
    """What may hold anything, or nothing."""

    extra: Json | None = None


class Thing(Document):
    """A document of somebody else's, with JSON in other places."""

    id: UserId = new_id()
    name: Name | None = None
    notes: list[Json]
    part: Part | None = None

    class Settings(TableSettings):
        """The collection."""

        name = "things"


@pytest.fixture
async def things(client: AsyncMongoClient[dict[str, Any]]) -> AsyncIterator[Database]:
    """A database that has its schema."""
    database = client[f"checks_{uuid4().hex[:8]}"]
    await ensure_schema(database, [Thing], "create")
    yield database
    await client.drop_database(database)


async def test_json_in_lists_and_objects(things: Database) -> None:
    """Also where it is optional, and where an object has optional fields only."""
    for right in ({}, {"part": {}}, {"notes": [{"a": [None]}], "part": {"extra": [1]}}, {"part": {"extra": "a"}}):
        await things.things.insert_one({"notes": []} | right)
    for wrong in ({"notes": [{"$a": 1}]}, {"part": {"extra": {"a": datetime.now(UTC)}}}, {"part": {"other": 1}}):
        with pytest.raises(WriteError, match="validation"):
            await things.things.insert_one({"notes": []} | wrong)
