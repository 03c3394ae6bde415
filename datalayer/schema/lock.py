"""One change of a database's schema at a time, whoever makes it."""

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
"""Holds one document while a change is under way, and none otherwise."""

LEASE = timedelta(seconds=60)
"""How long the lock of a process that died keeps others out."""

_RENEW_SECONDS = 15
_RETRY_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Holder:
    """The process that changes the schema.

    Attributes:
        process: Its machine and process id.
        since: When it took the lock, in UTC.
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
        """Take it, or renew its lease; who holds it, where that is another process. One round trip.

        The server's clock decides what is over: those of two machines may differ.
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
            SchemaLockedError: This process was suspended for longer than the lease, and another one has the lock.
        """
        holder = await self.take()
        if holder is not None:
            raise SchemaLockedError(f"The lock of the schema was lost to another process: {holder}.")

    async def keep(self) -> None:
        """Renew the lease for as long as one step may take."""
        while True:
            await asyncio.sleep(_RENEW_SECONDS)
            # The next one may get through, and `confirm` sees what came of it.
            with suppress(PyMongoError):
                await self.take()

    async def release(self) -> None:
        """Give it back, if it is held. Where that fails, the lease ends."""
        with suppress(PyMongoError):
            await self._locks.delete_one({"_id": "schema", "owner": self._owner})


@asynccontextmanager
async def schema_lock(
    database: Database,
    *,
    timeout: float | None = None,  # noqa: ASYNC109 - it ends the waiting, not the work
    waiting: Callable[[Holder], None] = lambda _: None,
) -> AsyncGenerator[Lock]:
    """Hold the lock inside the block; wait while another process does.

    Args:
        database: What is locked.
        timeout: For how many seconds it waits at most.
        waiting: Is told once who holds it.

    Raises:
        SchemaLockedError: Another process held it for all of that time.
    """
    lock, renewal = Lock(database), None
    try:
        await _wait(lock, timeout, waiting)
        renewal = asyncio.create_task(lock.keep())
        yield lock
    finally:
        if renewal is not None:
            renewal.cancel()
        # Also after a cancellation while it was asked for: the server may have given it.
        await lock.release()


async def _wait(lock: Lock, timeout: float | None, waiting: Callable[[Holder], None]) -> None:  # noqa: ASYNC109
    end, told = None if timeout is None else time.monotonic() + timeout, False
    while (holder := await lock.take()) is not None:
        if end is not None and time.monotonic() >= end:
            raise SchemaLockedError(f"Another process changes the schema: {holder}.")
        if not told:
            waiting(holder)
            told = True
        await asyncio.sleep(_RETRY_SECONDS)
