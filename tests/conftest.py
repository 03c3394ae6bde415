"""One server for the run, one database for each process of it, cleared between tests."""

from collections.abc import AsyncIterator

import pytest
from hypothesis import settings
from pymongo import AsyncMongoClient

from datalayer import Community, Stories, embedded_server
from tests.commands import CommandLog

# How long an example takes is the machine's matter; benchmarks are elsewhere.
settings.register_profile("untimed", deadline=None)
# For a long run: pytest --hypothesis-profile=soak
settings.register_profile("soak", deadline=None, max_examples=5_000)
settings.load_profile("untimed")


@pytest.fixture(scope="session")
async def server_uri() -> AsyncIterator[str]:
    """A real MongoDB server of this run's own."""
    async with embedded_server() as uri:
        yield uri


@pytest.fixture(scope="session")
async def log() -> CommandLog:
    """The commands that `client` has sent."""
    return CommandLog()


@pytest.fixture(scope="session")
async def client(server_uri: str, log: CommandLog) -> AsyncIterator[AsyncMongoClient]:
    """The client that the run shares."""
    async with AsyncMongoClient(server_uri, event_listeners=[log]) as client:
        yield client


@pytest.fixture(scope="session")
async def _open_community(client: AsyncMongoClient) -> AsyncIterator[Community]:
    async with Community.over(client["community"]) as community:
        yield community


@pytest.fixture(scope="session")
async def _open_stories(client: AsyncMongoClient) -> AsyncIterator[Stories]:
    async with Stories.over(client["stories"]) as stories:
        yield stories


@pytest.fixture
async def community(_open_community: Community, log: CommandLog) -> AsyncIterator[Community]:
    """An empty community."""
    log.written.clear()
    yield _open_community
    for name in list(log.written):
        await _open_community.database[name].delete_many({})


@pytest.fixture
async def stories(_open_stories: Stories, log: CommandLog) -> AsyncIterator[Stories]:
    """An empty story generator."""
    log.written.clear()
    yield _open_stories
    for name in list(log.written):
        await _open_stories.database[name].delete_many({})
