"""What can happen to servers, and how it ends."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Awaitable, Callable

from pymongo.errors import AutoReconnect, OperationFailure, PyMongoError

from datalayer.server import Node, ReplicaSet
from tests.reliability.load import PATIENCE, Load

Fault = Callable[[ReplicaSet, Load], Awaitable[None]]
"""Makes the fault, marks it in the load, waits until everybody writes again, and mends what is broken."""

FROZEN_SECONDS = 5


async def primary_of(servers: ReplicaSet) -> Node:
    """The node that says of itself that it is the primary; there is one before long."""
    async with asyncio.timeout(PATIENCE):
        while True:
            for node in servers.nodes:
                if node.running and await _is_primary(node):
                    return node
            await asyncio.sleep(0.05)


async def kill_primary(servers: ReplicaSet, load: Load) -> None:
    """`kill -9` of the primary. The others go on without it; a single node is started again at once."""
    node = await primary_of(servers)
    node.kill()
    load.mark()
    if len(servers.nodes) > 1:
        await load.everybody_wrote()
    await servers.start()
    await load.everybody_wrote()


async def kill_all(servers: ReplicaSet, load: Load) -> None:
    """`kill -9` of every node at once, and a new start."""
    servers.kill()
    load.mark()
    await servers.start()
    await load.everybody_wrote()


async def step_down(servers: ReplicaSet, load: Load) -> None:
    """The primary is told to become a secondary for some seconds; a single node is elected again after them."""
    node = await primary_of(servers)
    async with node.client() as client:
        # A busy one may not find the moment for it, and then nothing has happened.
        while await _is_primary(node):
            with contextlib.suppress(OperationFailure, AutoReconnect):
                await client.admin.command("replSetStepDown", 3, secondaryCatchUpPeriodSecs=2, force=True)
    load.mark()
    await load.everybody_wrote()


async def freeze(servers: ReplicaSet, load: Load, seconds: float = FROZEN_SECONDS) -> None:
    """The primary stops for some seconds, and comes back thinking that it still is the primary."""
    node = await primary_of(servers)
    assert node.pid is not None
    os.kill(node.pid, signal.SIGSTOP)
    load.mark()
    await asyncio.sleep(seconds)
    os.kill(node.pid, signal.SIGCONT)
    await load.everybody_wrote()


async def _is_primary(node: Node) -> bool:
    try:
        async with node.client() as client:
            return bool((await client.admin.command("hello"))["isWritablePrimary"])
    except PyMongoError:
        return False


FAULTS: tuple[Fault, ...] = (kill_primary, kill_all, step_down, freeze)
