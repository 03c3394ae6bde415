"""Indexes that have to go before others can come: nothing is lost on the way, and the way ends."""

from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pymongo import AsyncMongoClient
from pymongo.errors import DuplicateKeyError, OperationFailure

from datalayer.documents import Index
from datalayer.schema import application, ensure_schema
from datalayer.schema.application import apply, plan_for
from datalayer.schema.plan import Action, Step
from tests.indexes.things import Database, Silence, Thing, applied, steps


class Item(Thing):
    """Things with two unique indexes, each of which can be in the way of the other one."""

    class Settings(Thing.Settings):
        """The collection."""

        name = "items"
        indexes = (
            Index("by_owner_and_place", "owner", "place", unique=True),
            Index("by_place_and_owner", "place", "owner", unique=True),
            Index("by_kind", "kind"),
            Index("by_kind_and_place", "kind", "place"),
        )


EVERYTHING = {"_id": {"$exists": True}}
OWNER_AND_PLACE, KIND = {"owner": 1, "place": 1}, {"kind": 1, "_id": 1}
SHAPES: list[dict[str, Any]] = [
    {"key": OWNER_AND_PLACE, "unique": True},
    {"key": OWNER_AND_PLACE, "unique": True, "partialFilterExpression": EVERYTHING},
    {"key": OWNER_AND_PLACE, "unique": True, "hidden": True},
    {"key": OWNER_AND_PLACE},
    {"key": {"place": 1, "owner": 1}, "unique": True},
    {"key": {"place": 1, "owner": 1, "kind": 1}, "unique": True},
    {"key": KIND},
    {"key": KIND, "storageEngine": {"wiredTiger": {}}},
    {"key": {"kind": 1}, "expireAfterSeconds": 3600},
    {"key": KIND, "collation": {"locale": "en"}},
    {"key": {"kind": 1, "place": 1, "_id": 1}},
    {"key": {"kind": -1, "_id": -1}, "sparse": True},
]
DECLARED = [index.name for index in Item.Settings.indexes]
NAMES = [*DECLARED, *(f"{name}__guard" for name in DECLARED[:2]), "mine"]


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(found=st.dictionaries(st.sampled_from(NAMES), st.sampled_from(SHAPES), max_size=5))
@pytest.mark.thorough
async def test_every_state_leads_to_the_declared_one(
    client: AsyncMongoClient[dict[str, Any]], monkeypatch: pytest.MonkeyPatch, found: dict[str, dict[str, Any]]
) -> None:
    """Whatever indexes there are: at most three runs of `apply --drop`; and a constraint that was there never goes."""
    database = client[f"replaced_{uuid4().hex[:8]}"]
    row = Item(owner="a", place=1, kind="a").to_wire()
    try:
        await database.items.insert_one(row)
        for name, shape in found.items():
            try:
                await database.command("createIndexes", "items", indexes=[{"name": name, **shape}])
            except OperationFailure as error:
                assert error.code in (85, 86)  # noqa: PT017 - two too like each other, or one name twice
        do, refused = application._do, False

        async def duplicates_are_refused() -> bool:
            again = {key: value for key, value in row.items() if key != "_id"}
            try:
                added = await database.items.insert_one(again)
            except DuplicateKeyError:
                return True
            await database.items.delete_one({"_id": added.inserted_id})
            return False

        async def watched(database: Database, step: Step, observer: Any) -> None:
            nonlocal refused
            await do(database, step, observer)
            now = await duplicates_are_refused()
            assert now or not refused, step
            refused = now

        refused = await duplicates_are_refused()
        with monkeypatch.context() as patch:
            patch.setattr(application, "_do", watched)
            for _ in range(3):
                outcome = await apply(database, [Item], Silence(), drop=True)
                assert not outcome.blocked
        assert await plan_for(database, [Item]) == []
        await ensure_schema(database, [Item], "verify")
    finally:
        await client.drop_database(database)


async def test_a_guard_of_another_form_is_not_trusted(deployed: Database) -> None:
    """It has the guard's name only: one that is a guard is built, and the other one goes at the end."""
    await deployed.things.drop_index("by_owner_and_place")
    await deployed.things.create_index([("place", 1), ("owner", 1)], name="by_owner_and_place", unique=True)
    await deployed.things.create_index("owner", name="by_owner_and_place__guard")
    done, _ = await applied(deployed, drop=True)
    assert done == [
        "build index by_owner_and_place__guard1",
        "drop index by_owner_and_place",
        "build index by_owner_and_place",
        "drop index by_owner_and_place__guard1",
        "drop index by_owner_and_place__guard",
    ]
    assert await steps(deployed) == []


async def test_a_name_taken_by_another_index_and_its_form_by_another_name(deployed: Database) -> None:
    """Both go before the declared index comes."""
    await deployed.things.drop_index("by_kind")
    await deployed.things.create_index([("place", -1)], name="by_kind")
    await deployed.things.create_index([("kind", 1), ("_id", 1)], name="mine")
    done, outcome = await applied(deployed, drop=True)
    assert (done, outcome.ready) == (["drop index by_kind", "drop index mine", "build index by_kind"], True)
    assert await steps(deployed) == []


async def test_one_that_is_blocked_holds_up_the_others(client: AsyncMongoClient[Any]) -> None:
    """Two indexes have each other's names, and a third one cannot be built: nothing is dropped, of none of them."""
    database = client[f"replaced_{uuid4().hex[:8]}"]
    try:
        wrong = {"by_kind": "kind place _id", "by_kind_and_place": "kind _id", "by_owner_and_place": "owner"}
        for name, fields in wrong.items():
            await database.items.create_index([(field, 1) for field in fields.split()], name=name)
        await database.items.insert_many([Item(owner="a", place=1, kind=kind).to_wire() for kind in "ab"])
        outcome = await apply(database, [Item], Silence(), drop=True)
        blocked = {"by_owner_and_place__guard", "by_owner_and_place", "by_place_and_owner"}
        assert {step.name for step in outcome.blocked} == blocked
        assert (outcome.done[0].action, len(outcome.done)) == (Action.SET_VALIDATOR, 1)
        assert wrong.keys() < (await database.items.index_information()).keys()
    finally:
        await client.drop_database(database)
