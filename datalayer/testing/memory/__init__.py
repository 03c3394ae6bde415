"""The databases in memory: for quick unit tests of code that uses the repositories.

mongomock-motor does the work. It differs silently from MongoDB in much, so what is asked of it is held against a list
first: what is not on it raises `NotSupportedInMemory`, before anything is written. So a call has the result that it has
on a server, or that error: a test makes every example call of every method on both.

What differs: there are no round trips and no conflicts; transactions run one after the other; documents are checked by
their classes, which also refuse the blank strings that the server's validators let through; and Beanie's own queries
(`Post.find(...)`) do not come here.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from importlib import import_module
from typing import Any, TypeVar, cast

from datalayer.clock import Clock, system_clock
from datalayer.database import Community, Stories
from datalayer.errors import NotSupportedInMemory

DatabaseT = TypeVar("DatabaseT", Community, Stories)


@asynccontextmanager
async def open_in_memory(kind: type[DatabaseT], clock: Clock | None = None) -> AsyncGenerator[DatabaseT]:
    """An empty database whose data is in this process, and gone at the end.

    Args:
        kind: `Community` or `Stories`.
        clock: Gives Unix milliseconds; every timestamp that is written comes from it.

    Raises:
        NotSupportedInMemory: mongomock-motor is not installed.
    """
    try:
        engine: Any = import_module("mongomock_motor").AsyncMongoMockClient()[kind.default_name]
    except ModuleNotFoundError as missing:
        raise NotSupportedInMemory(
            f"The in-memory database needs {missing.name}.", hint="pip install 'opentribe-datalayer[memory]'"
        ) from missing
    # It imports the mock as well.
    from datalayer.testing.memory.database import Database  # noqa: PLC0415

    yield kind(cast("Any", Database(kind.default_name, kind.documents, engine)), clock or system_clock)
