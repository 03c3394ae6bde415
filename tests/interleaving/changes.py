"""Changes at a chosen moment: after a transaction's snapshot, between two round trips, in the middle of a query."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from contextvars import Context
from typing import Any, TypeVar

from pymongo import AsyncMongoClient, MongoClient
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.database import Database
from pymongo.monitoring import CommandFailedEvent, CommandListener, CommandStartedEvent, CommandSucceededEvent

from datalayer import Community

T = TypeVar("T")

_HANG, _YIELD = "setYieldAllLocksHang", "internalQueryExecYieldIterations"


async def changed_after_snapshot(
    community: Community, work: Callable[[], Awaitable[T]], change: Callable[[], Coroutine[Any, Any, object]]
) -> T:
    """What the work gives in a transaction that had its snapshot before the change was committed.

    Where the two conflict the transaction is tried again, and sees the change then.
    """
    pending = [change]

    async def attempt() -> T:
        # The first read takes the snapshot.
        await community.community_settings.get()
        if pending:
            await asyncio.create_task(pending.pop()(), context=Context())
        return await work()

    return await community.transaction(attempt)


class _Change(CommandListener):
    """Makes a change when the first command is about to be sent to a collection, and before it is sent."""

    def __init__(self, uri: str, collection: str, change: Callable[[Database[dict[str, Any]]], object]) -> None:
        self._uri, self._collection, self._change = uri, collection, change
        self.made = False

    def started(self, event: CommandStartedEvent) -> None:
        """The driver waits until this returns."""
        if not self.made and event.command.get(event.command_name) == self._collection:
            self.made = True
            with MongoClient[dict[str, Any]](self._uri) as client:
                self._change(client.get_default_database())

    def succeeded(self, event: CommandSucceededEvent) -> None:
        """Of no interest."""

    def failed(self, event: CommandFailedEvent) -> None:
        """Of no interest."""


@asynccontextmanager
async def changed_before(
    uri: str, collection: str, change: Callable[[Database[dict[str, Any]]], object]
) -> AsyncGenerator[Community]:
    """The community through a client that lets a change happen right before its first command to the collection."""
    listener = _Change(uri, collection, change)
    async with (
        AsyncMongoClient[dict[str, Any]](uri, event_listeners=[listener]) as client,
        Community.over(client.get_default_database(), schema="skip") as community,
    ):
        yield community
    assert listener.made


async def changed_within(
    database: AsyncDatabase[dict[str, Any]],
    collection: str,
    read: Callable[[], Awaitable[T]],
    change: Callable[[], Awaitable[object]],
) -> T:
    """What is read where the change is made while the query pauses, a few documents after it began."""
    admin = database.client.admin
    usual = (await admin.command({"getParameter": 1, _YIELD: 1}))[_YIELD]
    where = {"namespace": f"{database.name}.{collection}"}
    await admin.command({"setParameter": 1, _YIELD: 5})
    hang = await admin.command({"configureFailPoint": _HANG, "mode": "alwaysOn", "data": where})
    try:
        reader = asyncio.create_task(read())
        await admin.command({"waitForFailPoint": _HANG, "timesEntered": hang["count"] + 1, "maxTimeMS": 5_000})
        await change()
    finally:
        await admin.command({"configureFailPoint": _HANG, "mode": "off"})
        await admin.command({"setParameter": 1, _YIELD: usual})
    return await reader
