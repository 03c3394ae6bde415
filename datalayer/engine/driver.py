"""What the driver needs where Python is older than 3.12."""

import asyncio
import sys
from collections.abc import Awaitable
from typing import TypeVar

import pymongo.lock

T = TypeVar("T")


def keep_locks() -> None:
    """Let a task that is cancelled while it waits for a server, or for a connection, give the driver's lock back.

    The driver waits by `asyncio.wait_for(condition.wait(), ...)`. Before Python 3.12 that is a task of its own, which
    takes the lock again when the time is up. A caller that is cancelled at that moment goes on without waiting for it:
    the lock stays taken, and every later operation of the client waits forever.
    """
    if sys.version_info < (3, 12):
        setattr(pymongo.lock, "wait_for", _wait_for)  # noqa: B010 - the type checker has another type for it


async def _wait_for(awaitable: Awaitable[T], timeout: float | None) -> T:  # noqa: ASYNC109 - the driver's call has it
    """What `asyncio.wait_for` is from Python 3.12 on."""
    async with asyncio.timeout(timeout):
        return await awaitable
