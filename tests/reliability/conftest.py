"""Servers that a test may kill, in a directory of their own."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from datalayer.server import ReplicaSet


@pytest.fixture
async def servers(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[ReplicaSet]:
    """A replica set of as many nodes as the parameter says, else of one; stopped ones are killed too."""
    servers = ReplicaSet(tmp_path, replicas=getattr(request, "param", 1))
    try:
        await servers.start()
        yield servers
    finally:
        servers.kill()
