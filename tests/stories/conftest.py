"""Servers that make races likely."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from pymongo import AsyncMongoClient

from datalayer import Stories


@pytest.fixture
async def pausing(client: AsyncMongoClient[Any], stories: Stories) -> AsyncIterator[None]:
    """A server whose queries of scenes pause often and for long, to let others write."""
    name = "internalQueryExecYieldIterations"
    usual = await client.admin.command({"getParameter": 1, name: 1})
    await client.admin.command({"setParameter": 1, name: 20})
    wait = {"namespace": f"{stories.database.name}.scenes", "waitForMillis": 3}
    await client.admin.command({"configureFailPoint": "setYieldAllLocksWait", "mode": "alwaysOn", "data": wait})
    yield
    await client.admin.command({"configureFailPoint": "setYieldAllLocksWait", "mode": "off"})
    await client.admin.command({"setParameter": 1, name: usual[name]})


@pytest.fixture
async def slow_aggregate(client: AsyncMongoClient[Any]) -> AsyncIterator[None]:
    """A server that takes a tenth of a second before it begins with the next aggregation."""
    slow = {"failCommands": ["aggregate"], "blockConnection": True, "blockTimeMS": 100}
    await client.admin.command({"configureFailPoint": "failCommand", "mode": {"times": 1}, "data": slow})
    yield
    await client.admin.command({"configureFailPoint": "failCommand", "mode": "off"})
