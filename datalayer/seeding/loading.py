"""Writing a world into the databases, and recognising one that is there."""

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
"""How many batches are on their way to the server while the next one is made."""

LARGE = 200_000
"""From so many documents on, indexes are built when all are there: growing ones would not fit the cache."""

_FORCE = "Give --force to empty the collections first (everything in them is lost), or name another database."

Collection = AsyncCollection[dict[str, Any]]


class Observer(Protocol):
    """Is told how far a table is."""

    def started(self, table: Table) -> None:
        """The table comes next."""
        ...

    def inserted(self, number: int) -> None:
        """So many more of its documents are written."""
        ...

    def finished(self, seconds: float) -> None:
        """All of its documents are."""
        ...


@dataclass(frozen=True, slots=True)
class Filled:
    """The outcome.

    Attributes:
        found: Whether the world was there already, so that nothing was written.
    """

    tables: tuple[Table, ...]
    seconds: float
    found: bool


async def fill(
    community: Community, stories: Stories, world: World, observer: Observer, *, force: bool = False
) -> Filled:
    """Write the world into the two databases, which may be the same one.

    Where it is there already, nothing happens; what an interrupted run left is removed and written again.

    Args:
        community: Where its 23 tables go.
        stories: Where its 4 tables go.
        world: What to write.
        observer: Is told about the progress.
        force: Empty the collections first, whatever they hold.

    Raises:
        AlreadyExistsError: The collections hold documents of another origin, or the world with changes.
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
    """Whether the world is there, complete and unchanged in number; `False` where it may be written.

    Raises:
        AlreadyExistsError: Something else is there.
    """
    counts = [await _count(table, collection) for table, collection in places]
    # The settings are written last.
    if not counts[-1]:
        return False
    for (table, _), count in zip(places, counts, strict=True):
        if count != table.count:
            raise AlreadyExistsError(
                f"{table.name} has {count:,} documents instead of {table.count:,}: the seeded data was changed, "
                "or written by another version.",
                hint=_FORCE,
            )
    return True


async def _count(table: Table, collection: Collection) -> int:
    """How many documents there are, all of which are this world's."""
    if table.mark is None:
        mine: dict[str, Any] = {"$eq": ["$$ROOT", {"$literal": next(table.rows())}]}
    else:
        mine = {"$eq": [{"$substrBytes": [{"$toString": "$_id"}, 8, 8]}, table.mark]}
    # Every document has to be looked at, but where the id tells enough only in the index of the ids.
    pipeline = [{"$group": {"_id": mine, "count": {"$sum": 1}, "example": {"$first": "$_id"}}}]
    groups = {group["_id"]: group for group in await (await collection.aggregate(pipeline, hint="_id_")).to_list()}
    if False in groups:
        raise AlreadyExistsError(
            f"{collection.full_name} holds documents that this world and seed did not write, "
            f"for example {groups[False]['example']!r}.",
            hint=_FORCE,
        )
    return groups[True]["count"] if groups else 0


async def _empty(community: Community, stories: Stories) -> None:
    """Make the collections anew: to remove millions of documents would take longer than to write them."""
    for database in (community, stories):
        # The settings come first, since they say that a world is complete.
        for name in reversed([document.Settings.name for document in database.documents]):
            if await database.database[name].find_one({}, {"_id": 1}) is not None:
                await database.database.drop_collection(name)
        await ensure_schema(database.database, database.documents, "create")


async def _write(table: Table, collection: Collection, observer: Observer) -> None:
    start = time.perf_counter()
    observer.started(table)
    if table.count >= LARGE:
        await collection.drop_indexes()
    # The settings end a run; the acknowledgement of a write by a majority is one of all writes before it.
    concern = WriteConcern("majority" if table.mark is None else 1)
    await insert(collection.with_options(write_concern=concern), table.rows(), observer)
    if table.count >= LARGE:
        await ensure_schema(collection.database, [table.document], "create")
    observer.finished(time.perf_counter() - start)


async def insert(collection: Collection, rows: Iterator[dict[str, Any]], observer: Observer) -> None:
    """Insert the documents as they are made; a few batches are under way meanwhile, so memory does not grow."""
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
        # One reason is enough, and what catches it knows no groups.
        raise failures.exceptions[0] from None
