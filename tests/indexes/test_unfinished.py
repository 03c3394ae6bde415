"""An index that is still being built finds and refuses nothing, so it does not count as there."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from pymongo import AsyncMongoClient
from pymongo.errors import DuplicateKeyError

from datalayer.errors import SchemaDriftError
from datalayer.schema import ensure_schema
from tests.indexes.things import Database, Sent, Thing, applied, first, steps, unfinished

UNIQUE = "by_owner_and_place"
Client = AsyncMongoClient[dict[str, Any]]


@pytest.fixture
async def deployed(deployed: Database) -> Database:
    """Things, without the unique index."""
    await deployed.things.drop_index(UNIQUE)
    return deployed


@pytest.fixture
async def sent() -> Sent:
    """What the other process sends to build an index, or to wait for it."""
    return Sent("createIndexes")


@pytest.fixture
async def other(deployed: Database, server_uri: str, sent: Sent) -> AsyncIterator[Database]:
    """The database, as another process has it."""
    async with AsyncMongoClient(server_uri, event_listeners=[sent]) as client:
        yield client[deployed.name]


def build(database: Database, name: str = UNIQUE) -> Any:
    """Build the declared unique index."""
    return database.things.create_index([("owner", 1), ("place", 1)], name=name, unique=True)


def duplicate() -> dict[str, Any]:
    """A thing that there is already."""
    return Thing(owner="owner 1", place=1, kind="b").to_wire()


async def test_it_is_drift(deployed: Database, client: Client) -> None:
    """`check` reports it, and `verify` refuses to start."""
    async with unfinished(client, build(deployed)) as task:
        assert await steps(deployed) == [f"build index {UNIQUE}"]
        with pytest.raises(SchemaDriftError, match=f"{UNIQUE}: it is still being built"):
            await ensure_schema(deployed, [Thing], "verify")
    await task
    await ensure_schema(deployed, [Thing], "verify")
    assert await steps(deployed) == []


async def test_create_waits_for_it(deployed: Database, other: Database, sent: Sent, client: Client) -> None:
    """The second process serves only once the constraint is there."""
    async with unfinished(client, build(deployed)) as task:
        start = asyncio.ensure_future(ensure_schema(other, [Thing], "create"))
        assert await first(sent.sent, start)
        assert not start.done()
    await asyncio.gather(start, task)
    with pytest.raises(DuplicateKeyError):
        await other.things.insert_one(duplicate())


async def test_create_fails_with_it(deployed: Database, other: Database, sent: Sent, client: Client) -> None:
    """Duplicates that came meanwhile end the build, and the start of both processes."""
    async with unfinished(client, build(deployed)) as task:
        start = asyncio.ensure_future(ensure_schema(other, [Thing], "create"))
        assert await first(sent.sent, start)
        await deployed.things.insert_one(duplicate())
    with pytest.raises(DuplicateKeyError):
        await task
    with pytest.raises(SchemaDriftError, match=f"things has duplicates that the unique index {UNIQUE}") as error:
        await start
    assert "signature" not in str(error.value)


async def test_apply_waits_for_it(deployed: Database, other: Database, sent: Sent, client: Client) -> None:
    async with unfinished(client, build(deployed)) as task:
        run = asyncio.ensure_future(applied(other))
        assert await first(sent.sent, run)
    await task
    done, outcome = await run
    assert (done, outcome.ready) == ([f"build index {UNIQUE}"], True)


async def test_apply_reports_duplicates_that_come_meanwhile(
    deployed: Database, other: Database, sent: Sent, client: Client
) -> None:
    """They are written between its look and the end of the build: the step is blocked, and the rest is done."""
    await deployed.things.drop_index("by_kind")
    async with unfinished(client, build(deployed)) as task:
        run = asyncio.ensure_future(applied(other))
        assert await first(sent.sent, run)
        await deployed.things.insert_one(duplicate())
    with pytest.raises(DuplicateKeyError):
        await task
    _, outcome = await run
    assert ([step.name for step in outcome.done], outcome.ready) == (["by_kind"], False)
    assert ["2 with {'owner': 'owner 1', 'place': 1}" in why for why in outcome.blocked.values()] == [True]


async def test_a_guard_that_is_being_built_is_no_guard(
    deployed: Database, other: Database, sent: Sent, client: Client
) -> None:
    """An `apply --drop` was killed while its guard was built. The next one waits for it before it drops anything."""
    await deployed.things.create_index([("place", 1), ("owner", 1)], name=UNIQUE, unique=True)
    everything = {"_id": {"$exists": True}}
    guard = deployed.things.create_index(
        [("owner", 1), ("place", 1)], name=f"{UNIQUE}__guard", unique=True, partialFilterExpression=everything
    )
    async with unfinished(client, guard) as killed:
        run = asyncio.ensure_future(applied(other, drop=True))
        assert await first(sent.sent, run)
        with pytest.raises(DuplicateKeyError):
            await deployed.things.insert_one(duplicate())
    await killed
    assert (await run)[0] == [
        f"build index {UNIQUE}__guard",
        f"drop index {UNIQUE}",
        f"build index {UNIQUE}",
        f"drop index {UNIQUE}__guard",
    ]
    assert await steps(deployed) == []


async def test_a_guard_that_fails_drops_nothing(
    deployed: Database, other: Database, sent: Sent, client: Client
) -> None:
    """Duplicates end its build: the index that it is for stays, since nothing could take its place."""
    await deployed.things.create_index([("owner", 1), ("kind", 1), ("place", 1)], name=UNIQUE, unique=True)
    everything = {"_id": {"$exists": True}}
    guard = deployed.things.create_index(
        [("owner", 1), ("place", 1)], name=f"{UNIQUE}__guard", unique=True, partialFilterExpression=everything
    )
    async with unfinished(client, guard) as killed:
        run = asyncio.ensure_future(applied(other, drop=True))
        assert await first(sent.sent, run)
        await deployed.things.insert_one(duplicate())
    with pytest.raises(DuplicateKeyError):
        await killed
    done, outcome = await run
    assert (done, [step.name for step in outcome.blocked]) == ([f"build index {UNIQUE}__guard"], [f"{UNIQUE}__guard"])
    assert UNIQUE in await deployed.things.index_information()


async def test_other_changes_of_its_collection_wait_for_it(deployed: Database, server_uri: str, client: Client) -> None:
    """MongoDB refuses them meanwhile, whoever builds the index, and whatever for."""
    await build(deployed)
    changes = Sent("collMod")
    async with AsyncMongoClient(server_uri, event_listeners=[changes]) as another:
        async with unfinished(client, deployed.things.create_index("kind", name="mine")) as task:
            run = asyncio.ensure_future(applied(another[deployed.name], drop=True))
            assert await first(changes.failed_once, run)
        await task
        assert (await run)[0] == ["hide index mine"]
        await deployed.command("collMod", "things", validator={})
        changes.failed_once.clear()
        async with unfinished(client, deployed.things.create_index("owner", name="yours")) as task:
            start = asyncio.ensure_future(ensure_schema(another[deployed.name], [Thing], "create"))
            assert await first(changes.failed_once, start)
        await asyncio.gather(task, start)
    await ensure_schema(deployed, [Thing], "verify")
