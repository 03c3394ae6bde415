"""Worlds of the tests, each in databases of its own."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from pymongo import AsyncMongoClient

from datalayer import Community, Stories
from seed.worlds import world
from tests.seeding.places import Place


@pytest.fixture(scope="session")
async def seed_client(server_uri: str) -> AsyncIterator[AsyncMongoClient]:
    """A client of its own: the log of the shared one would keep every document that is loaded."""
    async with AsyncMongoClient(server_uri) as client:
        yield client


@asynccontextmanager
async def _opened(client: AsyncMongoClient, name: str) -> AsyncIterator[Place]:
    database = client[name]
    async with Community.over(database) as community, Stories.over(database) as stories:
        yield Place(community, stories)
    await client.drop_database(database)


@pytest.fixture(scope="session")
async def _place(seed_client: AsyncMongoClient) -> AsyncIterator[Place]:
    async with _opened(seed_client, "seedplace") as place:
        yield place


@pytest.fixture
async def place(_place: Place) -> AsyncIterator[Place]:
    """An empty database."""
    yield _place
    for document in (*Community.documents, *Stories.documents):
        await _place.database[document.Settings.name].delete_many({})


@pytest.fixture(scope="session")
async def small(seed_client: AsyncMongoClient) -> AsyncIterator[Place]:
    """A database that holds the small world; nobody changes it."""
    async with _opened(seed_client, "seedsmall") as place:
        await place.fill(world("small", 1))
        yield place
