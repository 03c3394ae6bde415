"""A server of its own for what goes wrong."""

from collections.abc import AsyncIterator

import pytest

from tests.faults.stage import Stage, staged


@pytest.fixture(scope="session")
async def stage() -> AsyncIterator[Stage]:
    """A world to spoil."""
    async with staged() as stage:
        yield stage
