"""Which indexes serve the queries of a piece of code."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from bson import json_util

from datalayer.database import Database
from datalayer.testing.commands import command_log
from datalayer.testing.explained import Plan, explain, statements

Planned = tuple[dict[str, Any], Plan]


@asynccontextmanager
async def assert_uses_index(database: Database, index: str) -> AsyncGenerator[None]:
    """Fail where no query that is sent inside the block goes by the index, or where one scans a collection.

    ```python
    async with assert_uses_index(community, "by_spaceId_and_createdAt"):
        await community.posts.in_space(space.id)
    ```

    Finds, aggregations with their lookups, updates and deletions are explained by the server when the block is over, on
    the data of that moment; so a query costs another two round trips.

    Raises:
        AssertionError: It is so; the message shows the queries, with the stages and the indexes of their plans.
        DataLayerError: The client has no `CommandLog`; one has to be given to it when it is made.
        NotSupportedInMemory: There is no server that would make a plan.
    """
    with command_log(database).recorded() as commands:
        yield
    found = [
        (statement, await explain(database.database, statement))
        for command in commands
        for statement in statements(command.document)
    ]
    scanning = [planned for planned in found if planned[1].scans]
    if scanning:
        raise AssertionError(_message("A collection is scanned.", scanning))
    if not any(index in plan.indexes for _, plan in found):
        raise AssertionError(_message(f"No query goes by {index}.", found))


def _message(fault: str, found: list[Planned]) -> str:
    if not found:
        return f"{fault} Nothing was looked for at all."
    return "\n".join((fault, *(_shown(*planned) for planned in found)))


def _shown(statement: dict[str, Any], plan: Plan) -> str:
    query = json_util.dumps(statement)
    scans = f"\n    scans:   {', '.join(plan.scans)}" if plan.scans else ""
    stages, indexes = ", ".join(plan.stages), ", ".join(sorted(plan.indexes)) or "none"
    return f"  {query}\n    stages:  {stages}\n    indexes: {indexes}{scans}"
