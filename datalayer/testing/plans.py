"""Checks which indexes the queries of a block of code use."""

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
    """Fail if no query inside the block uses the index, or if a query scans a collection.

    ```python
    async with assert_uses_index(community, "by_spaceId_and_createdAt"):
        await community.posts.in_space(space.id)
    ```

    When the block ends, the server explains its finds, aggregations (with their lookups), updates and deletes on the
    current data. This costs two more round trips per query.

    Raises:
        AssertionError: No query uses the index, or one scans a collection. The message shows the queries, with the
            stages and indexes of their plans.
        DataLayerError: The client has no `CommandLog`. Pass one when you create the client.
        NotSupportedInMemory: A database in memory has no query plans.
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
        raise AssertionError(_message("A query scans a collection.", scanning))
    if not any(index in plan.indexes for _, plan in found):
        raise AssertionError(_message(f"No query uses the index {index}.", found))


def _message(fault: str, found: list[Planned]) -> str:
    if not found:
        return f"{fault} The block sent no query."
    return "\n".join((fault, *(_shown(*planned) for planned in found)))


def _shown(statement: dict[str, Any], plan: Plan) -> str:
    query = json_util.dumps(statement)
    scans = f"\n    scans:   {', '.join(plan.scans)}" if plan.scans else ""
    stages, indexes = ", ".join(plan.stages), ", ".join(sorted(plan.indexes)) or "none"
    return f"  {query}\n    stages:  {stages}\n    indexes: {indexes}{scans}"
