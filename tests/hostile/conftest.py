"""A small world of its own, which is as it was after every call."""

from collections.abc import AsyncIterator

import pytest

from tests.hostile.place import Place
from tests.plans.world import opened

_SIZES = {
    "posts": 40,
    "rewarded_posts": 20,
    "reports": 20,
    "events": 20,
    "rsvps_per_event": 6,
    "courses": 4,
    "conversations": 12,
    "messages_per_conversation": 4,
    "stories": 3,
    "founders": 20,
    "users": 30,
}


@pytest.fixture(scope="session")
async def place(server_uri: str) -> AsyncIterator[Place]:
    """Where the methods are called."""
    async with opened(server_uri, "hostile", **_SIZES) as world:
        yield await Place.of(world)
