"""Applies a plan to a database."""

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
    """Receives progress events."""

    def waiting(self, holder: Holder) -> None:
        """Another process is changing the schema; this one waits."""
        ...

    def started(self, step: Step) -> None:
        """The step has started."""
        ...

    def progress(self, done: int, total: int) -> None:
        """The index build has processed `done` of `total` documents."""
        ...

    def finished(self, step: Step, seconds: float) -> None:
        """The step has finished."""
        ...


@dataclass(slots=True)
class Outcome:
    """The result of applying a plan, or of a rehearsal.

    Attributes:
        done: The steps that were done.
        left: The steps that need an explicit option or a manual decision.
        blocked: The steps that cannot be done, each with the reason.
        ready: True if an application that declares this schema can start now, even with `verify`. Steps may be left:
            not all of them are required.
    """

    done: list[Step] = field(default_factory=list[Step])
    left: list[Step] = field(default_factory=list[Step])
    blocked: dict[Step, str] = field(default_factory=dict[Step, str])
    ready: bool = False


async def plan_for(
    database: Database, documents: Sequence[type[Document]], known: frozenset[str] | None = None
) -> list[Step]:
    """Return the steps that bring the database to the declared schema. 2 round trips, plus one per collection.

    Args:
        database: The database.
        documents: The document classes that declare its schema.
        known: The names of other collections that may exist. If omitted, other collections are ignored.

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
    """Return the steps that cannot be done, each with the reason.

    Reads the collections that get a unique index or a validator.
    """
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
    """Bring the database to the declared schema, as far as possible without losing anything.

    It can be interrupted and run again. Several processes may run it concurrently: one applies the plan, the others
    wait and then find nothing to do.

    Args:
        database: The database.
        documents: The document classes that declare its schema.
        observer: Receives an event for each step.
        known: The names of other collections that may exist. If omitted, other collections are ignored.
        drop: Replace different indexes, hide undeclared ones, and drop hidden ones.
        lock_timeout: The maximum time to wait while another process changes the schema, in seconds.

    Raises:
        SchemaLockedError: Another process was changing the schema for longer than `lock_timeout`.
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
                # The duplicates were written after the check.
                outcome.blocked[step] = await problem(database, step) or "it found duplicates, which are gone by now"
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
    """Return what `apply` would do with the same arguments. Changes nothing, and takes no lock."""
    outcome, wanted = await _prepare(database, documents, known, drop=drop)
    for step in wanted:
        (outcome.left if _is_stuck(step, outcome) else outcome.done).append(step)
    outcome.ready = not any(step.required for step in [*outcome.left, *outcome.blocked])
    return outcome


async def _prepare(
    database: Database, documents: Sequence[type[Document]], known: frozenset[str] | None, *, drop: bool
) -> tuple[Outcome, list[Step]]:
    """Return an outcome with the steps that are already left or blocked, and the remaining steps."""
    steps = await plan_for(database, documents, known)
    wanted = [step for step in steps if step.automatic and (drop or not step.needs_drop)]
    outcome = Outcome(left=[step for step in steps if step not in wanted])
    outcome.blocked.update(await problems_of(database, wanted))
    return outcome, [step for step in wanted if step not in outcome.blocked]


def _is_stuck(step: Step, outcome: Outcome) -> bool:
    """Return whether another step with the same purpose is blocked."""
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
    """Report the progress of the index build inside the block to the observer."""
    watching = asyncio.create_task(_watch(database, collection, observer))
    try:
        yield
    finally:
        watching.cancel()


async def _watch(database: Database, collection: str, observer: Observer) -> None:
    building = {"ns": f"{database.name}.{collection}", "progress.total": {"$gt": 0}, "msg": {"$regex": "^Index Build"}}
    # A user who may build indexes may not be allowed to run $currentOp. Then no progress is shown.
    with suppress(PyMongoError):
        while True:
            await asyncio.sleep(PROGRESS_SECONDS)
            cursor = await database.client.admin.aggregate([{"$currentOp": {}}, {"$match": building}, {"$limit": 1}])
            for operation in await cursor.to_list():
                observer.progress(int(operation["progress"]["done"]), int(operation["progress"]["total"]))
