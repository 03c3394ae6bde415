"""Every rule of the data, recomputed from the rows.

Nothing here is shared with the code that keeps the rules: the rows are read as they are, and each rule counts again.
`violations` takes the database of a community, of stories, or one that holds both.
"""

from typing import Any

from pymongo.asynchronous.database import AsyncDatabase

from tests.seeding import counters, structure
from tests.seeding.rows import Data

RULES = (*counters.RULES, *structure.RULES)


async def violations(database: AsyncDatabase[Any], *, needs_admin: bool = False) -> list[str]:
    """One sentence for each violation, beginning with the name of the rule; none where all is well.

    Args:
        database: What is looked at.
        needs_admin: Whether there has been an admin, so that there must be one now.
    """
    return violated(await Data.read(database), needs_admin=needs_admin)


def violated(data: Data, *, needs_admin: bool = False) -> list[str]:
    """The same of rows that are in memory."""
    found = [f"{rule.__name__}: {sentence}" for rule in RULES for sentence in rule(data)]
    if needs_admin and not any(user["role"] == "admin" for user in data["users"]):
        found.append("at_least_one_admin: there is none")
    return found
