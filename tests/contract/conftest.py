"""The worlds of the contract."""

from collections.abc import AsyncIterator

import pytest

from tests.contract.twins import MemoryWorld, ServerWorld, in_memory
from tests.plans.world import FEW, opened


@pytest.fixture(scope="session")
async def server(server_uri: str) -> AsyncIterator[ServerWorld]:
    """A world on the server."""
    async with opened(server_uri, "contract", **FEW) as world:
        yield ServerWorld(world)


@pytest.fixture(scope="session")
async def memory(server: ServerWorld) -> AsyncIterator[MemoryWorld]:
    """The same world in memory."""
    async with in_memory(server.world) as twin:
        yield twin
