"""A small world of its own, which is as it was after every call."""

from collections.abc import AsyncIterator

import pytest

from tests.hostile.place import Place
from tests.plans.world import FEW, opened


@pytest.fixture(scope="session")
async def place(server_uri: str) -> AsyncIterator[Place]:
    """Where the methods are called."""
    async with opened(server_uri, "hostile", **FEW) as world:
        yield await Place.of(world)
