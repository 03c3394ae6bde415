"""A library that is extended brings out another release."""

from collections.abc import AsyncIterator
from typing import Annotated, Any
from uuid import uuid4

import pytest
from pymongo import AsyncMongoClient
from pymongo.asynchronous.database import AsyncDatabase

from datalayer.documents import Document, Index
from datalayer.engine.document import new_id
from datalayer.engine.fields import Count, Name, Text
from datalayer.engine.indexes import TableSettings
from datalayer.errors import InvalidDefinitionError
from datalayer.ids import UserId
from datalayer.schema import ensure_schema
from datalayer.schema.application import apply
from tests.extension.products import noted
from tests.indexes.things import Silence

Database = AsyncDatabase[dict[str, Any]]
Short = Annotated[str, Text(1, 10)]


class First(Document):
    """A thing, of the first release."""

    id: UserId = new_id()
    owner: Name

    class Settings(TableSettings):
        """The collection."""

        name = "things"
        indexes = (Index("by_owner", "owner"),)


class Second(Document):
    """A thing, of the second release: with a field and an index more."""

    id: UserId = new_id()
    owner: Name
    size: Count | None = None

    class Settings(TableSettings):
        """The collection."""

        name = "things"
        indexes = (Index("by_owner", "owner"), Index("by_size", "size"))


@pytest.fixture
async def empty(client: AsyncMongoClient[dict[str, Any]]) -> AsyncIterator[Database]:
    """A database of the test's own."""
    database = client[f"upgrade_{uuid4().hex[:8]}"]
    yield database
    await client.drop_database(database)


async def test_own_fields_survive_another_release(empty: Database) -> None:
    """What was written before is read after it; and both releases can start while it is rolled out."""
    before, after = noted(First), noted(Second)
    await ensure_schema(empty, [before], "create")
    written = before(owner="Ada", x_note="kept")
    await empty.things.insert_one(written.to_wire())
    assert (await apply(empty, [after], Silence())).ready
    for document in (First, before, Second, after):
        await ensure_schema(empty, [document], "verify")
    read = after.from_wire(await empty.things.find_one({"_id": written.id}) or {})
    assert read.model_dump() == {"id": written.id, "owner": "Ada", "size": None, "x_note": "kept"}


def test_a_name_without_the_prefix_may_clash_and_says_so() -> None:
    """When the class is defined, on the first start of the new release."""

    class Fits(First):
        size: Short | None = None

    assert Fits(owner="Ada", size="XL").size == "XL"
    with pytest.raises(InvalidDefinitionError, match=r"Clashes: the field `size` is one of Second.*`x_` never clash"):

        class Clashes(Second):
            size: Short | None = None

    with pytest.raises(InvalidDefinitionError, match=r"another index with the name `by_size`.*`x_` never clash"):

        class Indexed(Second):
            x_size: Short | None = None

            class Settings(Second.Settings):
                indexes = (*Second.Settings.indexes, Index("by_size", "xSize"))
