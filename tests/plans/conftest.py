"""A world of its own for the plans."""

from collections.abc import AsyncIterator

import pytest

from tests.plans.observing import Observer
from tests.plans.world import opened


@pytest.fixture(scope="session")
async def observer(server_uri: str) -> AsyncIterator[Observer]:
    """What the methods do in a world of their own."""
    async with opened(server_uri) as world:
        yield Observer(world)
