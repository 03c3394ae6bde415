"""Filling a database: the same bytes, once, and never over somebody's data."""

import tracemalloc
from collections import deque
from itertools import islice

import pytest
from bson import ObjectId
from pymongo import AsyncMongoClient

from datalayer.documents import Level
from datalayer.errors import AlreadyExistsError
from datalayer.seeding import World, plan
from datalayer.seeding.loading import insert
from seed.measure import compare
from tests.seeding.places import TINY, Notes, Place


@pytest.mark.thorough
async def test_the_same_seed_gives_the_same_bytes(place: Place) -> None:
    """And another one gives others."""
    await place.fill(TINY)
    one = await place.digests()
    await place.fill(TINY, force=True)
    assert await place.digests() == one
    await place.fill(TINY.model_copy(update={"seed": 2}), force=True)
    other = await place.digests()
    # There is one document of settings, and it is the same in every world.
    assert [name for name in one if one[name] == other[name]] == ["communitySettings"]


async def test_a_second_run_writes_nothing(place: Place) -> None:
    first = await place.fill(TINY)
    before, notes = await place.digests(), Notes()
    second = await place.fill(TINY, notes=notes)
    assert (first.found, second.found) == (False, True)
    assert notes.inserted_by_table == {}
    assert await place.digests() == before


async def test_the_observer_hears_of_every_document(place: Place) -> None:
    notes = Notes()
    filled = await place.fill(TINY, notes=notes)
    assert notes.inserted_by_table == {table.name: table.count for table in filled.tables}


async def test_an_interrupted_run_is_done_again(place: Place) -> None:
    with pytest.raises(InterruptedError):
        await place.fill(TINY, notes=Notes(fail_at="likes"))
    assert await place.database.communitySettings.find_one({}) is None
    assert not (await place.fill(TINY)).found
    assert (await place.fill(TINY)).found


@pytest.mark.parametrize("collection", ["levels", "stories", "communitySettings"])
async def test_foreign_documents_are_refused_whatever_else_is_there(place: Place, collection: str) -> None:
    row = {
        "levels": {"name": "Mine", "threshold": 0, "order": 1},
        "stories": {"title": "Mine", "createdAt": 1},
        "communitySettings": {"_id": ObjectId("000000000000000000000001"), "name": "Mine", "updatedAt": 1},
    }[collection]
    await place.database[collection].insert_one(row)
    with pytest.raises(AlreadyExistsError, match=rf"{collection} contains documents .* --force"):
        await place.fill(TINY)
    assert await place.database.users.find_one({}) is None
    assert await place.database[collection].find_one({}) == row


async def test_force_empties_the_collections(place: Place) -> None:
    mine = Level(name="Mine", threshold=7, order=77)
    await place.database.levels.insert_one(mine.to_wire())
    await place.fill(TINY, force=True)
    assert await place.database.levels.find_one({"_id": mine.id}) is None
    assert (await place.fill(TINY)).found


async def test_another_world_or_seed_is_foreign(place: Place) -> None:
    await place.fill(TINY)
    before = await place.digests()
    for other in (TINY.model_copy(update={"seed": 2}), TINY.model_copy(update={"posts": 41})):
        with pytest.raises(AlreadyExistsError, match="not written by this world and seed"):
            await place.fill(other)
    assert await place.digests() == before


async def test_a_world_that_was_changed_is_not_taken_for_complete(place: Place) -> None:
    await place.fill(TINY)
    await place.database.likes.delete_one({})
    with pytest.raises(AlreadyExistsError, match=r"likes has .* documents instead of"):
        await place.fill(TINY)


async def test_indexes_are_there_after_a_large_table(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """The large tables' indexes are built last."""
    before = await place.database.likes.index_information()
    monkeypatch.setattr("datalayer.seeding.loading.LARGE", 100)
    await place.fill(TINY)
    assert await place.database.likes.index_information() == before


async def test_the_measurement_inserts_the_same_documents_in_both_ways(
    place: Place, seed_client: AsyncMongoClient
) -> None:
    posts = next(table for table in plan(TINY) if table.name == "posts")
    one, other = place.database.posts, seed_client["seedother"].posts
    times = await compare(one, other, posts, blocks=2, block=20)
    assert len(times) == 2
    assert await one.find().sort("_id").to_list() == await other.find().sort("_id").to_list() == list(posts.rows())
    await seed_client.drop_database("seedother")


async def test_one_failed_batch_is_the_error(place: Place) -> None:
    with pytest.raises(InterruptedError):
        await insert(
            place.database.levels, iter([Level(name="One", threshold=0, order=1).to_wire()]), _started("levels")
        )


def _started(name: str) -> Notes:
    notes = Notes(fail_at=name)
    notes.started(next(table for table in plan(TINY) if table.name == name))
    return notes


def _peak(chosen: World, table: str, skip: int) -> int:
    """The most memory that the rows of the table take while they pass by."""
    rows = next(found for found in plan(chosen) if found.name == table).rows()
    deque(islice(rows, skip), maxlen=0)
    tracemalloc.start()
    try:
        deque(rows, maxlen=1_000)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "table",
    [pytest.param("posts", marks=pytest.mark.thorough), pytest.param("comments", marks=pytest.mark.thorough), "likes"],
)
@pytest.mark.thorough
def test_memory_does_not_grow_with_the_size(table: str) -> None:
    one = TINY.model_copy(update={"posts": 1_000})
    four = TINY.model_copy(update={"posts": 4_000})
    assert _peak(four, table, 100) < 1.2 * _peak(one, table, 100)
