"""Writes a world into the databases, and recognizes an existing one."""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, Protocol

from pymongo import ReadPreference, WriteConcern
from pymongo.asynchronous.collection import AsyncCollection

from datalayer.database import Community, Stories
from datalayer.engine.translation import TRANSLATED, translate
from datalayer.errors import AlreadyExistsError
from datalayer.schema import ensure_schema
from datalayer.seeding.plan import Table, plan
from datalayer.seeding.world import World

BATCH = 1_000
IN_FLIGHT = 3
"""The number of batches in flight while the next one is generated."""

LARGE = 200_000
"""With at least this many documents, indexes are built after loading: while they grow, they would not fit the cache."""

_FORCE = "Use --force to empty the collections first (everything in them is lost), or choose another database."

Collection = AsyncCollection[dict[str, Any]]


class Observer(Protocol):
    """Receives progress events."""

    def started(self, table: Table) -> None:
        """The collection is next."""
        ...

    def inserted(self, number: int) -> None:
        """This many more of its documents were written."""
        ...

    def finished(self, seconds: float) -> None:
        """All of its documents were written."""
        ...


@dataclass(frozen=True, slots=True)
class Filled:
    """The result of `fill`.

    Attributes:
        found: True if the world already existed, so that nothing was written.
    """

    tables: tuple[Table, ...]
    seconds: float
    found: bool


async def fill(
    community: Community, stories: Stories, world: World, observer: Observer, *, force: bool = False
) -> Filled:
    """Write the world into the two databases, which may be the same one.

    If the world already exists, nothing is written. The remains of an interrupted run are removed and written again.

    Args:
        community: The database for the 23 collections of the community.
        stories: The database for the 4 collections of the story generator.
        world: What to write.
        observer: Receives progress events.
        force: Empty the collections first, whatever they contain.

    Raises:
        AlreadyExistsError: The collections contain documents of another origin, or the world was modified.
    """
    start = time.perf_counter()
    tables = plan(world)
    try:
        places = [(table, _collection(community, stories, table)) for table in tables]
        found = not force and await _already_there(places)
        if not found:
            await _empty(community, stories)
            for table, collection in places:
                await _write(table, collection, observer)
    except TRANSLATED as error:
        raise translate(error) from error
    return Filled(tables, time.perf_counter() - start, found)


def _collection(community: Community, stories: Stories, table: Table) -> Collection:
    database = stories.database if table.document in Stories.documents else community.database
    return database.get_collection(table.name, read_preference=ReadPreference.PRIMARY)


async def _already_there(places: list[tuple[Table, Collection]]) -> bool:
    """Return `True` if the world is complete, with unchanged numbers of documents, and `False` if it can be written.

    Raises:
        AlreadyExistsError: The collections contain something else.
    """
    counts = [await _count(table, collection) for table, collection in places]
    # The settings are written last.
    if not counts[-1]:
        return False
    for (table, _), count in zip(places, counts, strict=True):
        if count != table.count:
            raise AlreadyExistsError(
                f"{table.name} has {count:,} documents instead of {table.count:,}: the seeded data was modified, "
                "or written by another version.",
                hint=_FORCE,
            )
    return True


async def _count(table: Table, collection: Collection) -> int:
    """Return the number of documents, all of which must belong to this world."""
    if table.mark is None:
        mine: dict[str, Any] = {"$eq": ["$$ROOT", {"$literal": next(table.rows())}]}
    else:
        mine = {"$eq": [{"$substrBytes": [{"$toString": "$_id"}, 8, 8]}, table.mark]}
    # Reads every document, or only the index on `_id` if the id identifies the world.
    pipeline = [{"$group": {"_id": mine, "count": {"$sum": 1}, "example": {"$first": "$_id"}}}]
    groups = {group["_id"]: group for group in await (await collection.aggregate(pipeline, hint="_id_")).to_list()}
    if False in groups:
        raise AlreadyExistsError(
            f"{collection.full_name} contains documents that were not written by this world and seed, "
            f"for example {groups[False]['example']!r}.",
            hint=_FORCE,
        )
    return groups[True]["count"] if groups else 0


async def _empty(community: Community, stories: Stories) -> None:
    """Drop and create the collections: removing millions of documents would take longer than writing them."""
    for database in (community, stories):
        # The settings go first, because they mark a world as complete.
        for name in reversed([document.Settings.name for document in database.documents]):
            if await database.database[name].find_one({}, {"_id": 1}) is not None:
                await database.database.drop_collection(name)
        await ensure_schema(database.database, database.documents, "create")


async def _write(table: Table, collection: Collection, observer: Observer) -> None:
    start = time.perf_counter()
    observer.started(table)
    if table.count >= LARGE:
        await collection.drop_indexes()
    # The settings come last: once a majority acknowledges that write, it has all earlier writes too.
    concern = WriteConcern("majority" if table.mark is None else 1)
    await insert(collection.with_options(write_concern=concern), table.rows(), observer)
    if table.count >= LARGE:
        await ensure_schema(collection.database, [table.document], "create")
    observer.finished(time.perf_counter() - start)


async def insert(collection: Collection, rows: Iterator[dict[str, Any]], observer: Observer) -> None:
    """Insert the documents while they are generated, with a few batches in flight, so memory use stays constant."""
    room = asyncio.Semaphore(IN_FLIGHT)

    async def send(batch: list[dict[str, Any]]) -> None:
        try:
            await collection.insert_many(batch, ordered=False)
            observer.inserted(len(batch))
        finally:
            room.release()

    try:
        async with asyncio.TaskGroup() as tasks:
            await room.acquire()
            while batch := list(islice(rows, BATCH)):
                tasks.create_task(send(batch))
                await room.acquire()
    except ExceptionGroup as failures:
        # One error is enough, and the caller does not handle exception groups.
        raise failures.exceptions[0] from None
