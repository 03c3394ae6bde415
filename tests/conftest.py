"""What the tests share, besides the fixtures of the library's own pytest plugin."""

from collections.abc import AsyncIterator

import pytest
from hypothesis import settings
from pymongo import AsyncMongoClient
from pymongo.uri_parser import parse_uri

pytest_plugins = ["pytester"]

# How long an example takes is the machine's matter; benchmarks are elsewhere. The examples are the same in each run, so
# that a change is what makes a difference.
settings.register_profile("untimed", deadline=None, derandomize=True)
# Others each time, for a long run: pytest --hypothesis-profile=soak
settings.register_profile("soak", deadline=None, max_examples=5_000)
settings.load_profile("untimed")


@pytest.fixture(scope="session")
def server_uri(datalayer_uri: str) -> str:
    """The server of the run, for databases of other names."""
    return datalayer_uri.replace(f"/{parse_uri(datalayer_uri)['database']}?", "/?")


@pytest.fixture(scope="session")
async def client(server_uri: str) -> AsyncIterator[AsyncMongoClient]:
    """A client of the server that the run shares."""
    async with AsyncMongoClient(server_uri) as client:
        yield client
