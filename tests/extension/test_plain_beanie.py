"""A collection of plain Beanie beside a product, also inside of its transactions."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated

import beanie
import pytest
from pymongo import WriteConcern
from pymongo.errors import DuplicateKeyError

from datalayer import Community
from datalayer.engine import connection
from datalayer.errors import DataLayerError


class Draft(beanie.Document):
    """A plain document of Beanie's."""

    text: Annotated[str, beanie.Indexed(unique=True)]  # noqa: TID251 - what users may write
    changes: int = 0

    class Settings:
        """The collection."""

        name = "drafts"


@pytest.fixture
async def drafts(community: Community) -> AsyncIterator[Community]:
    """A community with a collection of Beanie's in its database."""
    await beanie.init_beanie(community.database, document_models=[Draft])  # noqa: TID251 - what users may write
    await Draft.delete_all()
    yield community
    await community.database.drop_collection("drafts")


async def test_it_is_a_part_of_a_transaction(drafts: Community) -> None:
    """What was written is there with the rest, or not at all; and it is read in the same snapshot."""

    async def publish(text: str, *, fails: bool) -> int:
        await Draft(text=text).insert()
        await drafts.spaces.create(name=text)
        seen = await Draft.count()
        if fails:
            raise ValueError(text)
        return seen

    assert await drafts.transaction(lambda: publish("one", fails=False)) == 1
    with pytest.raises(ValueError, match="two"):
        await drafts.transaction(lambda: publish("two", fails=True))
    assert [draft.text for draft in await Draft.find_all().to_list()] == ["one"]
    assert [space.name for space in await drafts.spaces.list()] == ["one"]


async def test_conflicts_are_retried(drafts: Community) -> None:
    """Also those that only Beanie's writes meet: each of 16 changes is counted."""
    draft = await Draft(text="x").insert()

    async def change() -> None:
        found = await Draft.get(draft.id)
        assert found is not None
        await found.set({"changes": found.changes + 1})

    await asyncio.gather(*(drafts.transaction(change) for _ in range(16)))
    assert (await Draft.get(draft.id) or draft).changes == 16


async def test_an_error_that_is_caught_is_never_half_committed(
    drafts: Community, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server undoes a transaction at a duplicate key. The commit finds none then, and the work is tried in vain."""
    monkeypatch.setattr(connection, "TRANSACTION_SECONDS", 0.3)
    await Draft(text="x").insert()

    async def work() -> None:
        await drafts.spaces.create(name="Half")
        with pytest.raises(DuplicateKeyError):
            await Draft(text="x").insert()

    with pytest.raises(DataLayerError):
        await drafts.transaction(work)
    assert await drafts.spaces.list() == []


@pytest.mark.usefixtures("drafts")
async def test_a_uri_with_a_write_concern_takes_one_option(datalayer_uri: str) -> None:
    """As the documentation says."""
    separator = "&" if "?" in datalayer_uri else "?"
    async with Community.connect(f"{datalayer_uri}{separator}w=majority", schema="verify") as other:
        plain = other.database.with_options(write_concern=WriteConcern())
        await beanie.init_beanie(plain, document_models=[Draft])  # noqa: TID251 - what users may write
        await other.transaction(lambda: Draft(text="x").insert())
        assert await Draft.count() == 1
