"""A collection of the tests' own, its deployment, and index builds that are stopped in the middle."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from pymongo import AsyncMongoClient
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.monitoring import CommandFailedEvent, CommandListener, CommandStartedEvent, CommandSucceededEvent

from datalayer.documents import Document, Index
from datalayer.engine.document import new_id
from datalayer.engine.fields import Count, Name
from datalayer.engine.indexes import TableSettings
from datalayer.ids import UserId
from datalayer.schema import lock
from datalayer.schema.application import Outcome, apply, plan_for
from datalayer.schema.plan import Step

Database = AsyncDatabase[dict[str, Any]]


class Thing(Document):
    """A collection of the tests' own."""

    id: UserId = new_id()
    owner: Name
    place: Count
    kind: Name

    class Settings(TableSettings):
        """The collection."""

        name = "things"
        indexes = (
            Index("by_owner_and_place", "owner", "place", unique=True),
            Index("by_kind", "kind"),
            Index("by_place", "place", staged=True),
        )


class Silence:
    """An observer that remembers the steps."""

    def __init__(self) -> None:
        self.steps: list[str] = []

    def started(self, step: Step) -> None:
        """Remember it."""
        self.steps.append(f"{step.action.value} {step.name or step.collection}")

    def waiting(self, holder: lock.Holder) -> None:
        """Of no interest."""

    def progress(self, done: int, total: int) -> None:
        """Of no interest."""

    def finished(self, step: Step, seconds: float) -> None:
        """Of no interest."""


async def steps(database: Database, documents: Sequence[type[Document]] = (Thing,)) -> list[str]:
    """What is to be done, in order; in brackets what has to be asked for."""
    found = await plan_for(database, documents, frozenset())
    return [
        f"[{step.action.value} {step.name or step.collection}]"
        if step.needs_drop
        else f"{step.action.value} {step.name or step.collection}"
        for step in found
    ]


async def applied(database: Database, *, drop: bool = False) -> tuple[list[str], Outcome]:
    """What was done, and what came of it."""
    observer = Silence()
    outcome = await apply(database, [Thing], observer, known=frozenset(), drop=drop)
    return observer.steps, outcome


class Sent(CommandListener):
    """Tells when a client has sent a command, and when one has failed."""

    def __init__(self, name: str) -> None:
        self._name, self.sent, self.failed_once = name, asyncio.Event(), asyncio.Event()

    def started(self, event: CommandStartedEvent) -> None:
        """Remember it."""
        if event.command_name == self._name:
            self.sent.set()

    def succeeded(self, event: CommandSucceededEvent) -> None:
        """Of no interest."""

    def failed(self, event: CommandFailedEvent) -> None:
        """Remember it."""
        if event.command_name == self._name:
            self.failed_once.set()


@asynccontextmanager
async def unfinished(
    client: AsyncMongoClient[dict[str, Any]], build: Awaitable[Any]
) -> AsyncIterator[asyncio.Task[Any]]:
    """The task that builds an index, which the server stops in the middle until the end of the block."""
    point = "hangAfterStartingIndexBuild"
    before = await client.admin.command("configureFailPoint", point, mode="alwaysOn")
    try:
        task = asyncio.ensure_future(build)
        reached = {"timesEntered": before["count"] + 1, "maxTimeMS": 10_000}
        await client.admin.command("waitForFailPoint", point, **reached)
        yield task
    finally:
        await client.admin.command("configureFailPoint", point, mode="off")


async def first(event: asyncio.Event, task: asyncio.Task[Any]) -> bool:
    """Whether the event comes before the task ends."""
    waiting = asyncio.ensure_future(event.wait())
    await asyncio.wait({waiting, task}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    return event.is_set() and not task.done()
