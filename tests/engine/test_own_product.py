"""A third product needs nothing but the engine and the schema."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator

import pytest
from bson import ObjectId
from pymongo import AsyncMongoClient

from datalayer.errors import InvalidInputError, NotFoundError, SchemaDriftError
from examples.lending import AlreadyLentError, Lending, Loan, ToolId


@pytest.fixture
async def lending(client: AsyncMongoClient) -> AsyncIterator[Lending]:
    """An empty database of the product."""
    async with Lending.over(client["lending"]) as lending:
        yield lending
    await client.drop_database("lending")


async def test_it_knows_no_table() -> None:
    """The product imports nothing of the two that are shipped."""
    program = (
        "import sys, examples.lending\n"
        "known = [name for name in sys.modules if name.startswith('datalayer.')]\n"
        "assert {name.split('.')[1] for name in known} == {'engine', 'schema', 'server'}, known\n"
    )
    await asyncio.to_thread(subprocess.run, [sys.executable, "-c", program], check=True)


async def test_its_rule_holds_whoever_asks_at_once(lending: Lending) -> None:
    """Of twenty who want one tool, one gets it."""
    saw = await lending.tools.create("saw")
    asked = [lending.tools.lend(saw.id, f"Borrower {number}") for number in range(20)]
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert [type(answer) for answer in answers if not isinstance(answer, Loan)] == [AlreadyLentError] * 19
    assert await lending.database["loans"].count_documents({}) == 1


async def test_its_transactions_happen_whole_or_not_at_all(lending: Lending) -> None:
    saw, drill = await lending.tools.create("saw"), await lending.tools.create("drill")
    await lending.tools.lend(drill.id, "Ada")

    async def both() -> None:
        await lending.tools.lend(saw.id, "Bob")
        await lending.tools.lend(drill.id, "Bob")

    with pytest.raises(AlreadyLentError):
        await lending.transaction(both)
    assert await lending.database["loans"].count_documents({"borrower": "Bob"}) == 0


async def test_its_input_is_validated(lending: Lending) -> None:
    with pytest.raises(InvalidInputError, match="name"):
        await lending.tools.create("")
    with pytest.raises(InvalidInputError, match="id"):
        await lending.tools.lend("saw", "Ada")  # type: ignore[arg-type]
    with pytest.raises(NotFoundError):
        await lending.tools.lend(ToolId(ObjectId()), "Ada")


async def test_its_schema_is_enforced_and_verified(lending: Lending) -> None:
    """The validator and the index are there, and a missing one is drift."""
    loans = lending.database["loans"]
    assert "by_toolId" in await loans.index_information()
    async with Lending.over(lending.database, schema="verify"):
        pass
    await loans.drop_index("by_toolId")
    with pytest.raises(SchemaDriftError, match=r"loans\.by_toolId"):
        async with Lending.over(lending.database, schema="verify"):
            pass
