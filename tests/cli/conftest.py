"""The command as it is called, in this process."""

import asyncio

import pytest
from click.testing import CliRunner, Result

from datalayer import Community
from datalayer.cli import cli
from datalayer.database import Database


class Called:
    """Calls the command with the test's database as its MONGODB_URI."""

    def __init__(self, uri: str) -> None:
        self.uri = uri

    async def __call__(self, *arguments: str, input: str | None = None) -> Result:
        """The command has an event loop of its own."""
        runner = CliRunner(env={"MONGODB_URI": self.uri})
        return await asyncio.to_thread(runner.invoke, cli, [*arguments], input=input)


@pytest.fixture
def called(community: Community, server_uri: str) -> Called:
    """On the database of `community`."""
    return Called(uri_of(community, server_uri))


def uri_of(database: Database, server_uri: str) -> str:
    """Where the database is."""
    return server_uri.replace("/?", f"/{database.database.name}?")
