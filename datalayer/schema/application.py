"""Doing what a plan says."""

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Protocol

from pymongo.errors import PyMongoError

from datalayer.engine.document import Document
from datalayer.engine.errors import SchemaDriftError
from datalayer.schema import lock
from datalayer.schema.live import Database, live_tables
from datalayer.schema.performing import perform
from datalayer.schema.plan import Action, Step, plan
from datalayer.schema.problems import problem
from datalayer.schema.sharding import forbidden_indexes
from datalayer.schema.tables import declared_tables

PROGRESS_SECONDS = 0.5


class Observer(Protocol):
    """Is told what happens."""

    def started(self, step: Step) -> None:
        """The step comes next."""
        ...

    def progress(self, done: int, total: int) -> None:
        """So many of the documents are in the index that is being built."""
        ...

    def finished(self, step: Step, seconds: float) -> None:
        """The step is done."""
        ...


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a plan.

    Attributes:
        done: The steps that were done.
        left: Those that need to be asked for, or to be looked into by people.
        blocked: Those that cannot be done, and why.
    """

    done: list[Step] = field(default_factory=list[Step])
    left: list[Step] = field(default_factory=list[Step])
    blocked: dict[Step, str] = field(default_factory=dict[Step, str])


async def plan_for(
    database: Database, documents: Sequence[type[Document]], known: frozenset[str] | None = None
) -> list[Step]:
    """What is to be done to the database. 2 round trips, and one for each collection.

    Args:
        database: Where.
        documents: What it should hold.
        known: The names of collections that may be there besides; without it they are not looked at.

    Raises:
        SchemaDriftError: A unique index is declared that the shard key of its collection does not allow.
    """
    forbidden = tuple(forbidden_indexes(documents))
    if forbidden:
        raise SchemaDriftError(f"The declared schema cannot be sharded: {'; '.join(forbidden)}.", differences=forbidden)
    declared = declared_tables(documents)
    names = {table.name for table in declared}
    unknown: list[str] = []
    if known is not None:
        there = set(await database.list_collection_names())
        unknown = sorted(name for name in there - names - known - {lock.COLLECTION} if not name.startswith("system."))
    return plan(declared, await live_tables(database, names), unknown)


async def problems_of(database: Database, steps: Sequence[Step]) -> dict[Step, str]:
    """The steps that cannot be done, and why. Reads the collections that get a unique index or a validator."""
    found: dict[Step, str] = {}
    new = {step.collection for step in steps if step.action is Action.CREATE_COLLECTION}
    for step in steps:
        if step.collection not in new and (why := await problem(database, step)) is not None:
            found[step] = why
    return found


async def apply(
    database: Database,
    documents: Sequence[type[Document]],
    observer: Observer,
    *,
    known: frozenset[str] | None = None,
    drop: bool = False,
) -> Outcome:
    """Give the database the declared schema, as far as it can be done without losing anything.

    It can be interrupted and run again, and several may run at once: one does it, the others wait and find it done.

    Args:
        database: Where.
        documents: What it should hold.
        observer: Is told about each step.
        known: The names of collections that may be there besides; without it they are not looked at.
        drop: Replace indexes that are different, hide those that nobody declares, and drop those that are hidden.
    """
    async with lock.schema_lock(database):
        steps = await plan_for(database, documents, known)
        outcome = Outcome()
        wanted = [step for step in steps if step.automatic and (drop or not step.needs_drop)]
        outcome.left.extend(step for step in steps if step not in wanted)
        outcome.blocked.update(await problems_of(database, wanted))
        stuck = {(step.collection, step.purpose) for step in outcome.blocked if step.purpose is not None}
        for step in wanted:
            if step in outcome.blocked:
                continue
            if (step.collection, step.purpose) in stuck:
                outcome.left.append(step)
                continue
            start = time.perf_counter()
            observer.started(step)
            await _do(database, step, observer)
            observer.finished(step, time.perf_counter() - start)
            outcome.done.append(step)
        return outcome


async def _do(database: Database, step: Step, observer: Observer) -> None:
    if step.action is Action.BUILD_INDEX:
        async with _watched(database, step.collection, observer):
            await perform(database, step)
    else:
        await perform(database, step)


@asynccontextmanager
async def _watched(database: Database, collection: str, observer: Observer) -> AsyncGenerator[None]:
    """Tell the observer how far the index is that is built inside the block."""
    watching = asyncio.create_task(_watch(database, collection, observer))
    try:
        yield
    finally:
        watching.cancel()


async def _watch(database: Database, collection: str, observer: Observer) -> None:
    building = {"ns": f"{database.name}.{collection}", "progress.total": {"$gt": 0}, "msg": {"$regex": "^Index Build"}}
    # Somebody who may build indexes need not be allowed to see what goes on: then there is no progress to show.
    with suppress(PyMongoError):
        while True:
            await asyncio.sleep(PROGRESS_SECONDS)
            cursor = await database.client.admin.aggregate([{"$currentOp": {}}, {"$match": building}, {"$limit": 1}])
            for operation in await cursor.to_list():
                observer.progress(int(operation["progress"]["done"]), int(operation["progress"]["total"]))
