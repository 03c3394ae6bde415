"""One change of a database's schema at a time, whoever makes it."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from pymongo import WriteConcern
from pymongo.errors import DuplicateKeyError

from datalayer.schema.live import Database

COLLECTION = "_schemaLock"
"""Holds one document while a change is under way, and none otherwise."""

LEASE = timedelta(seconds=60)
"""How long the lock of a process that died keeps others out."""

_RENEW_SECONDS = 15
_RETRY_SECONDS = 0.2


@asynccontextmanager
async def schema_lock(database: Database) -> AsyncGenerator[None]:
    """Hold the lock inside the block; waits while another process does."""
    owner = uuid4().hex
    while not await _take(database, owner):  # noqa: ASYNC110 - the other one may be on another machine
        await asyncio.sleep(_RETRY_SECONDS)
    renewal = asyncio.create_task(_keep(database, owner))
    try:
        yield
    finally:
        renewal.cancel()
        await database[COLLECTION].delete_one({"_id": "schema", "owner": owner})


async def _take(database: Database, owner: str) -> bool:
    now = datetime.now(UTC)
    locks = database.get_collection(COLLECTION, write_concern=WriteConcern("majority"))
    try:
        await locks.update_one(
            # Not another's lock, as long as it is kept: then the insert meets its `_id`.
            {"_id": "schema", "$or": [{"owner": owner}, {"until": {"$lt": now}}]},
            {"$set": {"owner": owner, "until": now + LEASE}},
            upsert=True,
        )
    except DuplicateKeyError:
        return False
    return True


async def _keep(database: Database, owner: str) -> None:
    while True:
        await asyncio.sleep(_RENEW_SECONDS)
        await _take(database, owner)
