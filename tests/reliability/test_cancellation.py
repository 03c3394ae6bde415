"""Tasks that are cancelled while no server is there."""

import asyncio

import pytest
from pymongo import AsyncMongoClient

from tests.reliability.load import PATIENCE


async def test_a_cancelled_wait_for_a_server_leaves_the_client_usable() -> None:
    """Also where it is cancelled as it looks again, and has to take the driver's lock for that."""
    async with AsyncMongoClient("127.0.0.1", 1) as client, asyncio.timeout(PATIENCE):
        waiting = asyncio.create_task(client.test.things.insert_one({}))
        condition, lock = client._topology._condition, client._topology._lock
        while not condition._waiters:  # noqa: ASYNC110 - the driver gives no event
            await asyncio.sleep(0)
        async with lock:
            # Each half second it takes the lock, to look again.
            while condition._waiters:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            waiting.cancel()
            for _ in range(10):
                await asyncio.sleep(0)
            # Its block would give back a lock that it does not have, and nobody the one that is taken for it later.
            assert not waiting.done()
        with pytest.raises(asyncio.CancelledError):
            await waiting
