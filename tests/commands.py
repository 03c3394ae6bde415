"""What a command costs the server."""

from typing import Any

from pymongo.asynchronous.database import AsyncDatabase

from datalayer.testing import Command
from datalayer.testing.explained import explain, statements


async def keys_and_stages(database: AsyncDatabase[dict[str, Any]], command: Command) -> tuple[int, set[str]]:
    """How many index keys a command that was sent examines, and the stages of its plans."""
    plans = [await explain(database, statement) for statement in statements(command.document)]
    return sum(plan.keys for plan in plans), {stage for plan in plans for stage in plan.stages}
