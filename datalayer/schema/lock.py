"""The lock that allows only one process at a time to change the schema of a database."""

import asyncio
import os
import socket
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import uuid4

from pymongo import ReturnDocument, WriteConcern
from pymongo.errors import DuplicateKeyError, PyMongoError

from datalayer.engine.errors import SchemaLockedError
from datalayer.schema.live import Database

COLLECTION = "_schemaLock"
"""Contains one document while a change is in progress, otherwise none."""

LEASE = timedelta(seconds=60)
"""How long the lock of a process that died blocks others."""

_RENEW_SECONDS = 15
_RETRY_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Holder:
    """The process that is changing the schema.

    Attributes:
        process: Its host name and process id.
        since: The time at which it acquired the lock, in UTC.
    """

    process: str
    since: datetime

    def __str__(self) -> str:
        return f"{self.process}, since {self.since:%Y-%m-%d %H:%M:%S} UTC"


class Lock:
    """A lock that this process holds."""

    def __init__(self, database: Database) -> None:
        self._locks = database.get_collection(COLLECTION, write_concern=WriteConcern("majority"))
        self._owner = uuid4().hex

    async def take(self) -> Holder | None:
        """Acquire the lock, or renew its lease. Return the holder if another process has it. One round trip.

        The server's clock decides when a lease has expired, because the clocks of two machines may differ.
        """
        mine = {
            "_id": "schema",
            "owner": self._owner,
            "process": {"$literal": f"{socket.gethostname()}, process {os.getpid()}"},
            "since": {"$cond": [{"$eq": ["$owner", self._owner]}, "$since", "$$NOW"]},
            "until": {"$add": ["$$NOW", int(LEASE.total_seconds() * 1000)]},
        }
        free = {"$or": [{"$eq": ["$owner", self._owner]}, {"$lt": ["$until", "$$NOW"]}]}
        while True:
            with suppress(DuplicateKeyError):  # another process inserts it at the same moment
                found = await self._locks.find_one_and_update(
                    {"_id": "schema"},
                    [{"$replaceWith": {"$cond": [free, mine, "$$ROOT"]}}],
                    upsert=True,
                    return_document=ReturnDocument.AFTER,
                )
                break
        if found is None or found["owner"] == self._owner:
            return None
        return Holder(found.get("process", "an older release"), found.get("since", found["until"] - LEASE))

    async def confirm(self) -> None:
        """Renew the lease before a step.

        Raises:
            SchemaLockedError: This process was suspended for longer than the lease, and another process has the lock.
        """
        holder = await self.take()
        if holder is not None:
            raise SchemaLockedError(f"Another process has taken over the schema lock: {holder}.")

    async def keep(self) -> None:
        """Renew the lease until cancelled."""
        while True:
            await asyncio.sleep(_RENEW_SECONDS)
            # The next renewal may succeed, and `confirm` checks the result.
            with suppress(PyMongoError):
                await self.take()

    async def release(self) -> None:
        """Release the lock if this process holds it. If that fails, the lease expires."""
        with suppress(PyMongoError):
            await self._locks.delete_one({"_id": "schema", "owner": self._owner})


@asynccontextmanager
async def schema_lock(
    database: Database,
    *,
    timeout: float | None = None,  # noqa: ASYNC109 - it ends the waiting, not the work
    waiting: Callable[[Holder], None] = lambda _: None,
) -> AsyncGenerator[Lock]:
    """Hold the lock inside the block. Wait while another process holds it.

    Args:
        database: The database to lock.
        timeout: The maximum time to wait, in seconds.
        waiting: Called once with the holder, if another process has the lock.

    Raises:
        SchemaLockedError: Another process held the lock for longer than `timeout`.
    """
    lock, renewal = Lock(database), None
    try:
        await _wait(lock, timeout, waiting)
        renewal = asyncio.create_task(lock.keep())
        yield lock
    finally:
        if renewal is not None:
            renewal.cancel()
        # Also after a cancellation during the request: the server may have granted it.
        await lock.release()


async def _wait(lock: Lock, timeout: float | None, waiting: Callable[[Holder], None]) -> None:  # noqa: ASYNC109
    end, told = None if timeout is None else time.monotonic() + timeout, False
    while (holder := await lock.take()) is not None:
        if end is not None and time.monotonic() >= end:
            raise SchemaLockedError(f"Another process is changing the schema: {holder}.")
        if not told:
            waiting(holder)
            told = True
        await asyncio.sleep(_RETRY_SECONDS)
