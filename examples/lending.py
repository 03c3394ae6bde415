# ruff: noqa: INP001 - a script, and no part of a package
"""A product of your own on the engine: people borrow tools.

python -m examples.lending
"""

import asyncio
from typing import Annotated, Any, NewType

from bson import ObjectId
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import DuplicateKeyError

from datalayer.engine.clock import Clock
from datalayer.engine.database import Database
from datalayer.engine.document import Document, new_id
from datalayer.engine.errors import RuleViolationError
from datalayer.engine.fields import Text, Timestamp
from datalayer.engine.ids import register_id_types
from datalayer.engine.indexes import Index, TableSettings
from datalayer.engine.repository import Repository
from datalayer.schema import ensure_schema
from datalayer.server import embedded_server

Name = Annotated[str, Text(1, 100)]
ToolId = NewType("ToolId", ObjectId)
LoanId = NewType("LoanId", ObjectId)
register_id_types([ToolId, LoanId])


class Tool(Document):
    """A tool that people borrow."""

    id: ToolId = new_id()
    name: Name

    class Settings(TableSettings):
        """The collection."""

        name = "tools"


class Loan(Document):
    """Who has a tool; `returned_at` is absent until it is back."""

    id: LoanId = new_id()
    tool_id: ToolId
    borrower: Name
    lent_at: Timestamp
    returned_at: Timestamp | None = None

    class Settings(TableSettings):
        """The collection."""

        name = "loans"
        indexes = (Index("by_toolId", "toolId", unique=True, where={"returnedAt": None}, why="one borrower at a time"),)


class AlreadyLentError(RuleViolationError):
    """Somebody has the tool."""

    code = "already_lent"


class Tools(Repository[Tool, ToolId]):
    """The tools, and who has them."""

    document = Tool

    async def create(self, name: Name) -> Tool:
        """Add a tool. One round trip."""
        return await self._insert(Tool(name=name))

    async def lend(self, id: ToolId, borrower: Name) -> Loan:
        """Lend the tool. A transaction of 3 round trips; by_toolId refuses a second borrower."""
        loan = Loan(tool_id=id, borrower=borrower, lent_at=self._now())

        async def work() -> Loan:
            await self._require(Tool, id)
            await self._of(Loan).insert_one(loan.to_wire())
            return loan

        try:
            return await self._connection.transaction(work)
        except DuplicateKeyError as error:
            raise AlreadyLentError from error


class Lending(Database):
    """The open database."""

    documents = (Tool, Loan)
    default_name = "lending"
    ensure_schema = staticmethod(ensure_schema)

    def __init__(self, database: AsyncDatabase[dict[str, Any]], clock: Clock) -> None:
        super().__init__(database, clock)
        self.tools = Tools(self._connection)


async def main() -> None:
    """Lend one tool twice."""
    async with embedded_server() as uri, Lending.connect(uri) as lending:
        saw = await lending.tools.create("saw")
        print(await lending.tools.lend(saw.id, "Ada"))
        try:
            await lending.tools.lend(saw.id, "Bob")
        except AlreadyLentError as error:
            print(error)


if __name__ == "__main__":
    asyncio.run(main())
