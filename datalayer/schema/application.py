"""Doing what a plan says."""

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Protocol

from pymongo.errors import DuplicateKeyError, PyMongoError

from datalayer.engine.document import Document
from datalayer.engine.errors import SchemaDriftError
from datalayer.schema import lock
from datalayer.schema.live import Database, live_tables
from datalayer.schema.lock import Holder
from datalayer.schema.performing import perform
from datalayer.schema.plan import Action, Step, plan
from datalayer.schema.problems import problem
from datalayer.schema.sharding import forbidden_indexes
from datalayer.schema.tables import declared_tables

PROGRESS_SECONDS = 0.5


class Observer(Protocol):
    """Is told what happens."""

    def waiting(self, holder: Holder) -> None:
        """Another process changes the schema, and is waited for."""
        ...

    def started(self, step: Step) -> None:
        """The step comes next."""
        ...

    def progress(self, done: int, total: int) -> None:
        """So many of the documents are in the index that is being built."""
        ...

    def finished(self, step: Step, seconds: float) -> None:
        """The step is done."""
        ...


@dataclass(slots=True)
class Outcome:
    """What came of a plan, or what would come of it.

    Attributes:
        done: The steps that were done.
        left: Those that need to be asked for, or to be looked into by people.
        blocked: Those that cannot be done, and why.
        ready: Whether an application that declares this schema starts now, also with `verify`. It may although steps
            are left: not all of them are required.
    """

    done: list[Step] = field(default_factory=list[Step])
    left: list[Step] = field(default_factory=list[Step])
    blocked: dict[Step, str] = field(default_factory=dict[Step, str])
    ready: bool = False


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
    lock_timeout: float | None = None,
) -> Outcome:
    """Give the database the declared schema, as far as it can be done without losing anything.

    It can be interrupted and run again, and several may run at once: one does it, the others wait and find it done.

    Args:
        database: Where.
        documents: What it should hold.
        observer: Is told about each step.
        known: The names of collections that may be there besides; without it they are not looked at.
        drop: Replace indexes that are different, hide those that nobody declares, and drop those that are hidden.
        lock_timeout: For how many seconds it waits at most while another process changes the schema.

    Raises:
        SchemaLockedError: Another process changed the schema for all of that time.
    """
    async with lock.schema_lock(database, timeout=lock_timeout, waiting=observer.waiting) as held:
        outcome, wanted = await _prepare(database, documents, known, drop=drop)
        for step in wanted:
            if _is_stuck(step, outcome):
                outcome.left.append(step)
                continue
            await held.confirm()
            start = time.perf_counter()
            observer.started(step)
            try:
                await _do(database, step, observer)
            except DuplicateKeyError:
                # Written after they were looked for.
                outcome.blocked[step] = await problem(database, step) or "it met duplicates, which are gone by now"
            else:
                outcome.done.append(step)
                observer.finished(step, time.perf_counter() - start)
        outcome.ready = not any(step.required for step in await plan_for(database, documents))
        return outcome


async def rehearse(
    database: Database,
    documents: Sequence[type[Document]],
    *,
    known: frozenset[str] | None = None,
    drop: bool = False,
) -> Outcome:
    """Returns what would come of `apply` with the same arguments. Changes nothing, and takes no lock."""
    outcome, wanted = await _prepare(database, documents, known, drop=drop)
    for step in wanted:
        (outcome.left if _is_stuck(step, outcome) else outcome.done).append(step)
    outcome.ready = not any(step.required for step in [*outcome.left, *outcome.blocked])
    return outcome


async def _prepare(
    database: Database, documents: Sequence[type[Document]], known: frozenset[str] | None, *, drop: bool
) -> tuple[Outcome, list[Step]]:
    """The steps that are left or blocked from the beginning, and the others."""
    steps = await plan_for(database, documents, known)
    wanted = [step for step in steps if step.automatic and (drop or not step.needs_drop)]
    outcome = Outcome(left=[step for step in steps if step not in wanted])
    outcome.blocked.update(await problems_of(database, wanted))
    return outcome, [step for step in wanted if step not in outcome.blocked]


def _is_stuck(step: Step, outcome: Outcome) -> bool:
    """Returns whether another step of the same purpose cannot be done."""
    blocked = {(other.collection, other.purpose) for other in outcome.blocked}
    return step.purpose is not None and (step.collection, step.purpose) in blocked


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
