"""Two clients of the test's database."""

from collections.abc import AsyncIterator

import pytest

from datalayer import Community, Stories
from tests.interleaving.stepping import Two, opened


@pytest.fixture
async def two(community: Community, stories: Stories, server_uri: str) -> AsyncIterator[Two]:
    """Two clients: one that can be held back, and one that works meanwhile."""
    assert community.database.name == stories.database.name
    async with opened(server_uri, community.database.name) as two:
        yield two
