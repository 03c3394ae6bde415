"""Databases of these tests' own."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest
from pymongo import AsyncMongoClient

from datalayer.schema.application import apply
from tests.indexes.things import Database, Silence, Thing


@pytest.fixture
async def empty(client: AsyncMongoClient[dict[str, Any]]) -> AsyncIterator[Database]:
    """A database of the test's own."""
    database = client[f"rollout_{uuid4().hex[:8]}"]
    yield database
    await client.drop_database(database)


@pytest.fixture
async def deployed(empty: Database) -> Database:
    """The same with things, and the schema of them."""
    await apply(empty, [Thing], Silence())
    rows = [Thing(owner=f"owner {number % 7}", place=number, kind="a").to_wire() for number in range(50)]
    await empty.things.insert_many(rows)
    return empty
