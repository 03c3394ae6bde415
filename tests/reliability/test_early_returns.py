"""Whoever is told that something is so already can rely on it as much as whoever made it so."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from pymongo import AsyncMongoClient

from datalayer import Community
from datalayer.documents import User
from datalayer.server import Node, ReplicaSet
from tests.reliability.faults import primary_of

Act = Callable[[Community, User, User], Awaitable[Any]]

_EVENT: Any = {"event_id": "evt", "created": 5, "customer_id": "cus", "status": "active", "tier": "pro"}

ACTS: dict[str, Act] = {
    "users.ensure": lambda c, _, __: c.users.ensure("new account"),
    "memberships.ensure": lambda c, one, _: c.memberships.ensure(one.id),
    "memberships.apply_stripe_event": lambda c, _, other: c.memberships.apply_stripe_event(user_id=other.id, **_EVENT),
    "conversations.open": lambda c, one, other: c.conversations.open(one.id, other.id),
}

_STOP = "stopReplProducer"

MADE = {"users": 3, "memberships": 3, "conversations": 1}
"""How many documents there are when all of this is done."""


@pytest.mark.parametrize("servers", [3], indirect=True)
@pytest.mark.thorough
async def test_nothing_is_confirmed_that_a_failover_undoes(servers: ReplicaSet) -> None:
    """One client makes changes that reach no majority, another one asks for the same, and the primary is killed."""
    async with _opened(servers) as first, _opened(servers) as second:
        one, other = await first.users.create(), await first.users.create()
        primary = await primary_of(servers)
        followers = [node for node in servers.nodes if node is not primary]
        for node in followers:
            await _stop_replication(node)
        made = [asyncio.ensure_future(act(first, one, other)) for act in ACTS.values()]
        async with asyncio.timeout(10):
            while {name: await second.database[name].count_documents({}) for name in MADE} != MADE:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        asked = {name: asyncio.ensure_future(act(second, one, other)) for name, act in ACTS.items()}
        await asyncio.wait(asked.values(), timeout=0.3)
        assert [name for name, task in asked.items() if task.done()] == []
        primary.kill()
        for node in followers:
            async with node.client() as client:
                await client.admin.command("configureFailPoint", _STOP, mode="off")
        found = {name: await task for name, task in asked.items()}
        assert (await second.users.get(found["users.ensure"].user.id)).auth_user_id == "new account"
        assert await second.memberships.for_user(one.id) == found["memberships.ensure"]
        assert (await second.memberships.by_stripe_customer("cus") or found["memberships.ensure"]).tier == "pro"
        assert await second.conversations.get(found["conversations.open"].id) == found["conversations.open"]
        await asyncio.gather(*made, return_exceptions=True)


@asynccontextmanager
async def _opened(servers: ReplicaSet) -> AsyncIterator[Community]:
    async with AsyncMongoClient[dict[str, Any]](servers.uri) as client, Community.over(client["early"]) as community:
        yield community


async def _stop_replication(node: Node) -> None:
    """Return when the secondary fetches nothing any more."""
    async with node.client() as client:
        before = await client.admin.command("configureFailPoint", _STOP, mode="alwaysOn")
        entered = {"timesEntered": before["count"] + 1, "maxTimeMS": 10_000}
        await client.admin.command("waitForFailPoint", _STOP, **entered)
