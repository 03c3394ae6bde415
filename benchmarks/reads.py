"""Compares reads and writes with this library, the driver, Motor, Beanie, ODMantic and MongoEngine.

Measured alternately in one process, on a temporary embedded server, with the same collections, validators and indexes.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from importlib import import_module

from bson import ObjectId
from pymongo import AsyncMongoClient
from pymongo.asynchronous.collection import AsyncCollection

from benchmarks.pairs import Measured, Work, compared, paired
from benchmarks.work import BULK, DATABASE, LISTED, PAGE, Operations, Row, Stage, post
from datalayer import Community, embedded_server

POSTS = 3_000
SAVED_ALL = 500
"""The number of posts that ODMantic writes: it sends one command each, and 10,000 would take half a minute."""

# The first one is the baseline of the comparison.
LIBRARIES = {
    "pymongo": "driver",
    "this library": "ours",
    "Motor": "motor_dicts",
    "Beanie": "beanie_models",
    "Beanie, our classes": "beanie_on_ours",
    "ODMantic": "odmantic_models",
    "MongoEngine": "mongoengine_models",
}

_WORK: dict[str, Callable[[Operations], Work]] = {
    "get by id": lambda operations: operations.get,
    f"feed page of {PAGE}": lambda operations: operations.page,
    f"list of {LISTED:,}": lambda operations: operations.listed,
    "create one": lambda operations: operations.create,
}
BULK_NAME = f"create {BULK:,}"

# By the number of tasks: the repetitions of each task in a round, and the number of rounds.
_TIMES: Mapping[str, Mapping[int, tuple[int, int]]] = {
    "get by id": {1: (20, 25), 32: (2, 25)},
    f"feed page of {PAGE}": {1: (10, 25), 32: (1, 25)},
    f"list of {LISTED:,}": {1: (1, 21), 32: (1, 9)},
    "create one": {1: (20, 41), 32: (2, 41)},
}

Results = dict[tuple[str, int], dict[str, Measured]]
"""By the work and the number of tasks, then by the library."""


@asynccontextmanager
async def _stage() -> AsyncGenerator[Stage]:
    async with embedded_server() as uri, Community.connect(uri) as community:
        space, other = [await community.spaces.create(name=name) for name in ("General", "Bulk")]
        rows: list[Row] = [{"_id": ObjectId(), **post(space.id, number)} for number in range(POSTS)]
        await community.database.posts.insert_many(rows)
        yield Stage(uri, space.id, [row["_id"] for row in rows], other.id)


async def measure() -> Results:
    """Run all comparisons."""
    async with _stage() as stage, AsyncExitStack() as stack:
        libraries: dict[str, Operations] = {}
        for name, module in LIBRARIES.items():
            opened = import_module(f"benchmarks.peers.{module}").opened
            libraries[name] = await stack.enter_async_context(opened(stage))
        results: Results = {}
        for name, work in _WORK.items():
            ways = {library: work(operations) for library, operations in libraries.items()}
            for tasks, (times, rounds) in _TIMES[name].items():
                results[name, tasks] = await paired(ways, tasks=tasks, times=times, rounds=rounds)
                _print(name, tasks, results[name, tasks])
        client = await stack.enter_async_context(AsyncMongoClient[Row](stage.uri))
        results[BULK_NAME, 1] = await _bulk(libraries, client[DATABASE].posts, stage.bulk_space_id)
        _print(BULK_NAME, 1, results[BULK_NAME, 1])
        return results


async def _bulk(
    libraries: Mapping[str, Operations], posts: AsyncCollection[Row], space_id: ObjectId
) -> dict[str, Measured]:
    def timed(operations: Operations, number: int) -> Callable[[], Awaitable[float]]:
        async def seconds() -> float:
            start = time.perf_counter()
            await operations.bulk(number)
            elapsed = time.perf_counter() - start
            await posts.delete_many({"spaceId": space_id}, hint="by_spaceId")
            return elapsed

        return seconds

    slow = "ODMantic"
    ways = {name: timed(operations, BULK) for name, operations in libraries.items() if name != slow}
    results = await compared(ways, rounds=7)
    few = {name: timed(libraries[name], SAVED_ALL) for name in (next(iter(libraries)), slow)}
    found = (await compared(few, rounds=7))[slow]
    return results | {slow: Measured(found.milliseconds * BULK / SAVED_ALL, found.ratio)}


def _print(name: str, tasks: int, results: Mapping[str, Measured]) -> None:
    told = "  ".join(f"{library} {measured.ratio:.2f}" for library, measured in results.items())
    print(f"  {name:<16} {tasks:3} tasks  {told}", flush=True)


if __name__ == "__main__":
    asyncio.run(measure())
