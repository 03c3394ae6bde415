"""Compares likes of posts: this library, manual transactions with and without the same checks, and no transaction.

Measured alternately on a temporary embedded server, with one task and with 32 concurrent tasks on the same posts.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping

from bson import ObjectId
from pymongo import AsyncMongoClient
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from benchmarks.pairs import Measured, compared
from benchmarks.work import DATABASE, Row
from datalayer import Community, embedded_server
from datalayer.ids import PostId, SpaceId, UserId

TASKS = 32
ROUNDS: Mapping[int, int] = {1: 25, TASKS: 9}
LIKES_EACH: Mapping[int, int] = {1: 16, TASKS: 4}

OURS, BY_HAND, MINIMAL, UNGUARDED = "this library", "by hand, same checks", "by hand, no checks", "no transaction"

Like = Callable[[UserId, PostId], Awaitable[object]]
Results = dict[int, dict[str, dict[str, Measured]]]
"""By the number of tasks, and by the baseline of the comparison."""


class MissingError(Exception):
    """The user or post does not exist."""


def _wire(user_id: UserId, post_id: PostId) -> Row:
    return {"_id": ObjectId(), "userId": user_id, "targetType": "post", "targetId": post_id, "createdAt": 1}


async def _write(
    database: AsyncDatabase[Row], user_id: UserId, post_id: PostId, session: AsyncClientSession | None
) -> None:
    await database.likes.insert_one(_wire(user_id, post_id), session=session)
    await database.posts.update_one({"_id": post_id}, {"$inc": {"likeCount": 1}}, session=session)


async def _check(database: AsyncDatabase[Row], user_id: UserId, post_id: PostId, session: AsyncClientSession) -> bool:
    """Return whether there is something to do."""
    if await database.users.find_one({"_id": user_id}, {"_id": 1}, session=session) is None:
        raise MissingError
    if await database.posts.find_one({"_id": post_id, "deletedAt": None}, {"_id": 1}, session=session) is None:
        raise MissingError
    like = {"userId": user_id, "targetType": "post", "targetId": post_id}
    return await database.likes.find_one(like, {"_id": 1}, session=session) is None


def by_hand(client: AsyncMongoClient[Row], *, checks: bool) -> Like:
    """An insert and an `$inc` in a transaction, with the driver's own retries."""
    database = client[DATABASE]

    async def like(user_id: UserId, post_id: PostId) -> None:
        async def work(session: AsyncClientSession) -> None:
            if not checks or await _check(database, user_id, post_id, session):
                await _write(database, user_id, post_id, session)

        async with client.start_session() as session:
            await session.with_transaction(
                work, read_concern=ReadConcern("snapshot"), write_concern=WriteConcern("majority")
            )

    return like


def unguarded(client: AsyncMongoClient[Row]) -> Like:
    """An insert and an `$inc`; a crash between the two leaves the counter wrong."""
    return lambda user_id, post_id: _write(client[DATABASE], user_id, post_id, None)


async def _round(community: Community, like: Like, users: list[UserId], space_id: SpaceId, tasks: int) -> float:
    posts = [
        (await community.posts.create(space_id, users[0], content="c", content_html="c")).id
        for _ in range(LIKES_EACH[tasks])
    ]

    async def task(user_id: UserId) -> None:
        for post_id in posts:
            await like(user_id, post_id)

    start = time.perf_counter()
    await asyncio.gather(*(task(user_id) for user_id in users[:tasks]))
    elapsed = time.perf_counter() - start
    counts = [(await community.posts.get(id)).like_count for id in posts]
    if counts != [tasks] * len(posts):
        raise AssertionError(counts)
    return elapsed


async def measure() -> Results:
    """Run all comparisons."""
    async with (
        embedded_server() as uri,
        Community.connect(uri) as community,
        AsyncMongoClient[Row](uri) as client,
    ):
        users = [(await community.users.create(name=f"User {number}")).id for number in range(TASKS)]
        space = await community.spaces.create(name="General")

        async def ours(user_id: UserId, post_id: PostId) -> object:
            return await community.likes.like(user_id, "post", post_id)

        def timed(like: Like, tasks: int) -> Callable[[], Awaitable[float]]:
            return lambda: _round(community, like, users, space.id, tasks)

        ways = {
            BY_HAND: by_hand(client, checks=True),
            MINIMAL: by_hand(client, checks=False),
            UNGUARDED: unguarded(client),
        }
        results: Results = {}
        for tasks in (1, TASKS):
            results[tasks] = {}
            for name, like in ways.items():
                pair = {name: timed(like, tasks), OURS: timed(ours, tasks)}
                found = await compared(pair, rounds=ROUNDS[tasks], per=tasks * LIKES_EACH[tasks])
                results[tasks][name] = found
                mine, theirs = found[OURS], found[name]
                print(
                    f"  like {tasks:3} tasks  {name:<20} {theirs.milliseconds:8.3f} ms"
                    f"  ours {mine.milliseconds:.3f} ms, ratio {mine.ratio:.3f}",
                    flush=True,
                )
        return results


if __name__ == "__main__":
    asyncio.run(measure())
