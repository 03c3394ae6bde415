"""Deploying the schema: what `plan` says, what `apply` does, and what stays true meanwhile."""

import asyncio
import json
from typing import Any

import pytest
from bson import ObjectId
from pymongo.errors import DuplicateKeyError, OperationFailure

from datalayer import Community, Stories
from datalayer.documents import Document
from datalayer.errors import SchemaDriftError, SchemaLockedError
from datalayer.schema import application, ensure_schema, live, lock
from datalayer.schema.application import apply, plan_for, rehearse
from datalayer.schema.performing import perform
from datalayer.schema.plan import Action, Step
from datalayer.schema.sharding import forbidden_indexes, shard_commands
from tests.indexes.things import Database, Silence, Thing, applied, steps

ALL = Community.documents + Stories.documents


async def test_an_empty_database_gets_everything(empty: Database) -> None:
    """Both products; afterwards there is nothing to do, and an application that verifies starts."""
    assert len(await steps(empty, ALL)) == sum(1 + len(document.Settings.indexes) for document in ALL)
    rehearsed = await rehearse(empty, ALL, known=frozenset())
    outcome = await apply(empty, ALL, Silence(), known=frozenset())
    assert (outcome.left, outcome.blocked) == ([], {})
    assert (rehearsed.left, rehearsed.blocked) == ([], {})
    assert {str(step) for step in rehearsed.done} == {str(step) for step in outcome.done}
    assert await steps(empty, ALL) == []
    async with Community.over(empty, schema="verify"), Stories.over(empty, schema="verify"):
        pass


async def test_a_missing_index_is_built(deployed: Database) -> None:
    await deployed.things.drop_index("by_kind")
    assert await steps(deployed) == ["build index by_kind"]
    assert (await applied(deployed))[0] == ["build index by_kind"]
    assert await steps(deployed) == []


async def test_a_staged_index_is_built_and_not_relied_on(deployed: Database) -> None:
    """A start neither misses nor makes it."""
    await deployed.things.drop_index("by_place")
    await ensure_schema(deployed, [Thing], "verify")
    await ensure_schema(deployed, [Thing], "create")
    assert await steps(deployed) == ["build index by_place"]
    await applied(deployed)
    await ensure_schema(deployed, [Thing], "verify")
    assert await steps(deployed) == []


CHANGES: dict[str, tuple[list[tuple[str, int]], dict[str, Any]]] = {
    "key order": ([("place", 1), ("owner", 1)], {"name": "by_owner_and_place", "unique": True}),
    "more keys": ([("owner", 1), ("place", 1), ("kind", 1)], {"name": "by_owner_and_place", "unique": True}),
    "not unique": ([("owner", 1), ("place", 1)], {"name": "by_owner_and_place"}),
    "partial": (
        [("owner", 1), ("place", 1)],
        {"name": "by_owner_and_place", "unique": True, "partialFilterExpression": {"place": {"$gt": 3}}},
    ),
    "renamed": ([("owner", 1), ("place", 1)], {"name": "one_place_each", "unique": True}),
}


@pytest.mark.parametrize("change", CHANGES)
async def test_a_different_unique_index_is_replaced_when_asked(deployed: Database, change: str) -> None:
    """Behind a guard, so that there is no moment without the constraint; without being asked nothing happens."""
    keys, options = CHANGES[change]
    await deployed.things.drop_index("by_owner_and_place")
    await deployed.things.create_index(keys, **options)
    expected = [
        "build index by_owner_and_place__guard",
        f"drop index {options['name']}",
        "build index by_owner_and_place",
        "drop index by_owner_and_place__guard",
    ]
    assert await steps(deployed) == [f"[{step}]" for step in expected]
    done, outcome = await applied(deployed)
    assert (done, len(outcome.left)) == ([], 4)
    assert (await applied(deployed, drop=True))[0] == expected
    assert await steps(deployed) == []


@pytest.mark.parametrize("stop_after", range(4))
async def test_an_interrupted_replacement_goes_on(
    deployed: Database, monkeypatch: pytest.MonkeyPatch, stop_after: int
) -> None:
    """Wherever it stopped, two of a kind were never possible, and the next run finishes it."""
    keys, options = CHANGES["key order"]
    await deployed.things.drop_index("by_owner_and_place")
    await deployed.things.create_index(keys, **options)
    do, done = application._do, iter(range(stop_after))

    async def interrupted(database: Database, step: Step, observer: Any) -> None:
        if next(done, None) is None:
            raise KeyboardInterrupt
        await do(database, step, observer)

    monkeypatch.setattr(application, "_do", interrupted)
    with pytest.raises(KeyboardInterrupt):
        await applied(deployed, drop=True)
    with pytest.raises(DuplicateKeyError):
        await deployed.things.insert_one(Thing(owner="owner 0", place=0, kind="b").to_wire())
    monkeypatch.setattr(application, "_do", do)
    await applied(deployed, drop=True)
    assert await steps(deployed) == []


async def test_the_constraint_holds_at_every_moment(deployed: Database) -> None:
    """Duplicates that are tried all the time while the index is replaced: none gets in."""
    keys, options = CHANGES["renamed"]
    stop = asyncio.Event()

    async def intrude() -> int:
        tries = 0
        while not stop.is_set():
            tries += 1
            with pytest.raises(DuplicateKeyError):
                await deployed.things.insert_one(Thing(owner="owner 1", place=1, kind="b").to_wire())
        return tries

    intruder = asyncio.create_task(intrude())
    for _ in range(3):
        await deployed.things.create_index([*keys, ("kind", 1)], name="wider", unique=True)
        await deployed.command("collMod", "things", index={"name": "wider", "hidden": True})
        await deployed.things.create_index(
            keys, name="other", unique=True, partialFilterExpression={"_id": {"$exists": True}}
        )
        await deployed.things.drop_index("by_owner_and_place")
        await deployed.things.create_index(keys, **options)
        await deployed.things.drop_index("other")
        await applied(deployed, drop=True)
    stop.set()
    assert await intruder > 0
    assert await deployed.things.count_documents({"owner": "owner 1", "place": 1}) == 1


async def test_an_index_that_nobody_declares_is_hidden_then_dropped(deployed: Database) -> None:
    """And only when asked."""
    await deployed.things.create_index("owner", name="mine")
    assert await steps(deployed) == ["[hide index mine]"]
    assert (await applied(deployed))[0] == []
    assert (await applied(deployed, drop=True))[0] == ["hide index mine"]
    assert (await deployed.things.index_information())["mine"]["hidden"]
    assert await steps(deployed) == ["[drop index mine]"]
    assert (await applied(deployed, drop=True))[0] == ["drop index mine"]
    assert await steps(deployed) == []


async def test_a_hidden_declared_index_comes_back(deployed: Database) -> None:
    await deployed.command("collMod", "things", index={"name": "by_kind", "hidden": True})
    with pytest.raises(SchemaDriftError, match="by_kind"):
        await ensure_schema(deployed, [Thing], "create")
    assert (await applied(deployed))[0] == ["unhide index by_kind"]
    assert await steps(deployed) == []


async def test_duplicates_are_listed_before_a_unique_index_is_built(deployed: Database) -> None:
    """It is not built, its predecessor stays, and everything else is done."""
    await deployed.things.drop_index("by_owner_and_place")
    await deployed.things.create_index([("kind", 1), ("owner", 1)], name="by_owner_and_place")
    await deployed.things.drop_index("by_kind")
    await deployed.things.insert_one(Thing(owner="owner 1", place=1, kind="b").to_wire())
    done, outcome = await applied(deployed, drop=True)
    assert done == ["build index by_kind"]
    ((step, why),) = [(step, why) for step, why in outcome.blocked.items() if step.name and step.name.endswith("guard")]
    assert step.action is Action.BUILD_INDEX
    assert "2 with {'owner': 'owner 1', 'place': 1}" in why
    assert "by_owner_and_place" in await deployed.things.index_information()
    await deployed.things.delete_one({"kind": "b"})
    await applied(deployed, drop=True)
    assert await steps(deployed) == []


async def test_duplicates_in_arrays_are_found(empty: Database) -> None:
    """The pair of a conversation is two elements of an array."""
    await apply(empty, ALL, Silence())
    await empty.conversations.drop_index("by_participantIds")
    pair = sorted((ObjectId(), ObjectId()))
    rows = [{"participantIds": pair, "lastMessageAt": 1}, {"participantIds": pair, "lastMessageAt": 2}]
    await empty.conversations.insert_many(rows)
    outcome = await apply(empty, ALL, Silence())
    assert ["2 with" in why for why in outcome.blocked.values()] == [True]


async def test_a_validator_is_tightened_only_when_every_document_passes(deployed: Database) -> None:
    await deployed.command("collMod", "things", validator={})
    await deployed.things.insert_one({"_id": 5, "owner": 3})
    assert await steps(deployed) == ["set validator things"]
    done, outcome = await applied(deployed)
    assert done == []
    (why,) = outcome.blocked.values()
    assert why.startswith("1 in things, for example 5; find them with db.things.find(")
    # JSON is what mongosh reads, too.
    found = json.loads(why.partition("find(")[2].removesuffix(")"))
    assert await deployed.things.find(found).to_list() == [{"_id": 5, "owner": 3}]
    await deployed.things.delete_one({"_id": 5})
    assert (await applied(deployed))[0] == ["set validator things"]
    assert await steps(deployed) == []


async def test_a_collection_that_nobody_declares_is_reported(deployed: Database) -> None:
    """And left to people; not where nobody asks for others."""
    await deployed.create_collection("stray")
    assert await steps(deployed) == ["look into stray"]
    done, outcome = await applied(deployed, drop=True)
    assert (done, [step.collection for step in outcome.left]) == ([], ["stray"])
    assert await plan_for(deployed, [Thing]) == []


async def test_two_at_once_take_turns(deployed: Database) -> None:
    """Each step is done once, by one of them."""
    keys, options = CHANGES["key order"]
    await deployed.things.drop_index("by_owner_and_place")
    await deployed.things.create_index(keys, **options)
    await deployed.things.drop_index("by_kind")
    runs = await asyncio.gather(*(applied(deployed, drop=True) for _ in range(3)))
    assert sorted(len(done) for done, _ in runs) == [0, 0, 5]
    assert await steps(deployed) == []
    assert await deployed[lock.COLLECTION].count_documents({}) == 0


async def test_the_lock_of_a_run_that_died_ends(deployed: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the clock of the machine says on which it died: the server's decides."""
    died = lock.Lock(deployed)
    assert await died.take() is None
    assert await lock.Lock(deployed).take() is not None
    with monkeypatch.context() as patch:
        patch.setattr(lock, "LEASE", -lock.LEASE)
        assert await died.take() is None
    async with asyncio.timeout(5), lock.schema_lock(deployed):
        with pytest.raises(SchemaLockedError, match="Another process has taken over the schema lock"):
            await died.confirm()


async def test_a_run_that_lost_the_lock_stops(deployed: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine was suspended in the middle: another run has begun, and this one does no other step."""
    await deployed.things.drop_indexes()
    do = application._do

    async def suspended(database: Database, step: Step, observer: Any) -> None:
        await do(database, step, observer)
        await deployed[lock.COLLECTION].update_one({}, {"$set": {"owner": "another", "process": "another one"}})

    monkeypatch.setattr(application, "_do", suspended)
    with pytest.raises(SchemaLockedError, match="another one, since 20"):
        await applied(deployed)
    assert len(await deployed.things.index_information()) == 2
    assert (await deployed[lock.COLLECTION].find_one() or {})["owner"] == "another"


def test_every_unique_index_allows_its_shard_key() -> None:
    """And one that did not would be refused."""
    assert list(forbidden_indexes(ALL)) == []

    class Spread(Thing):
        class Settings(Thing.Settings):
            name = "spread"
            shard_key = ("kind",)

    assert list(forbidden_indexes([Spread])) == [
        "spread.by_owner_and_place is unique, but does not begin with the shard key (kind)"
    ]
    assert shard_commands([Spread], "db") == ['sh.shardCollection("db.spread", {kind: 1})']


async def test_a_plan_refuses_what_cannot_be_sharded(empty: Database) -> None:
    class Spread(Thing):
        class Settings(Thing.Settings):
            name = "spread"
            shard_key = ("place",)

    with pytest.raises(SchemaDriftError, match=r"spread.by_owner_and_place is unique"):
        await plan_for(empty, [Spread])


@pytest.mark.parametrize("document", [document for document in ALL if document.Settings.shard_key])
def test_an_index_supports_each_shard_key(document: type[Document]) -> None:
    """MongoDB asks for one that begins with it, and is not partial."""
    key = document.Settings.shard_key or ()
    whole = [index for index in document.Settings.indexes if index.where is None]
    assert any(tuple(name for name, _ in index.keys)[: len(key)] == key for index in whole)


async def test_a_step_that_another_process_was_first_with_is_done(deployed: Database) -> None:
    """Making a collection that is there, and dropping an index that is not. Any other error is raised."""
    await perform(deployed, Step(Action.CREATE_COLLECTION, "things", "it is missing"))
    await perform(deployed, Step(Action.DROP_INDEX, "things", "nobody declares it", name="by_nothing"))
    with pytest.raises(OperationFailure, match="_id index"):
        await perform(deployed, Step(Action.DROP_INDEX, "things", "nobody declares it", name="_id_"))


async def test_a_collection_that_is_dropped_while_it_is_looked_at(deployed: Database) -> None:
    """It has no indexes. Any other error is raised."""
    assert await live._indexes(deployed, "nothing") is None
    with pytest.raises(OperationFailure):
        await live._indexes(deployed, "")
