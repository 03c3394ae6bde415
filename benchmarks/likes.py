"""Likes of one post by many at once: this library, a transaction for each by hand, and no transaction at all.

Interleaved in one run on a temporary embedded server; prints the medians and the ratios.
"""

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable
from typing import Any

from bson import ObjectId
from pymongo import AsyncMongoClient
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from datalayer import Community, embedded_server
from datalayer.ids import PostId, SpaceId, UserId

TASKS = 32
ROUNDS = 15
LIKES_EACH = 4

Like = Callable[[UserId, PostId], Awaitable[object]]


def _wire(user_id: UserId, post_id: PostId) -> dict[str, Any]:
    return {"_id": ObjectId(), "userId": user_id, "targetType": "post", "targetId": post_id, "createdAt": 1}


def by_hand(client: AsyncMongoClient[dict[str, Any]]) -> Like:
    """An insert and an `$inc` in a transaction, with the driver's own retries."""
    database = client["community"]

    async def like(user_id: UserId, post_id: PostId) -> None:
        async def work(session: AsyncClientSession) -> None:
            await database.likes.insert_one(_wire(user_id, post_id), session=session)
            await database.posts.update_one({"_id": post_id}, {"$inc": {"likeCount": 1}}, session=session)

        async with client.start_session() as session:
            await session.with_transaction(
                work, read_concern=ReadConcern("snapshot"), write_concern=WriteConcern("majority")
            )

    return like


def unguarded(client: AsyncMongoClient[dict[str, Any]]) -> Like:
    """An insert and an `$inc`, which a crash between the two leaves apart."""
    database = client["community"]

    async def like(user_id: UserId, post_id: PostId) -> None:
        await database.likes.insert_one(_wire(user_id, post_id))
        await database.posts.update_one({"_id": post_id}, {"$inc": {"likeCount": 1}})

    return like


async def _round(community: Community, like: Like, users: list[UserId], space_id: SpaceId, tasks: int) -> float:
    """Milliseconds for each like."""
    posts = [
        (await community.posts.create(space_id, users[0], content="c", content_html="c")).id for _ in range(LIKES_EACH)
    ]

    async def task(user_id: UserId) -> None:
        for post_id in posts:
            await like(user_id, post_id)

    start = time.perf_counter()
    await asyncio.gather(*(task(user_id) for user_id in users[:tasks]))
    elapsed = time.perf_counter() - start
    counts = [(await community.posts.get(id)).like_count for id in posts]
    if counts != [tasks] * LIKES_EACH:
        raise AssertionError(counts)
    return elapsed * 1_000 / (tasks * LIKES_EACH)


async def main() -> None:
    """Measure and print."""
    async with (
        embedded_server() as uri,
        AsyncMongoClient[dict[str, Any]](uri) as client,
        Community.over(client["community"]) as community,
    ):
        users = [(await community.users.create(name=f"User {number}")).id for number in range(TASKS)]
        space = await community.spaces.create(name="General")

        async def ours(user_id: UserId, post_id: PostId) -> object:
            return await community.likes.like(user_id, "post", post_id)

        ways = {"ours": ours, "by hand": by_hand(client), "unguarded": unguarded(client)}
        for tasks in (1, TASKS):
            times: dict[str, list[float]] = {name: [] for name in ways}
            for _ in range(ROUNDS):
                for name, like in ways.items():
                    times[name].append(await _round(community, like, users, space.id, tasks))
            _print(tasks, times)


def _print(tasks: int, times: dict[str, list[float]]) -> None:
    for name, measured in times.items():
        ratio = statistics.median(a / b for a, b in zip(times["ours"], measured, strict=True))
        median = statistics.median(measured)
        print(f"{tasks:3} tasks  {name:10} {median:8.3f} ms a like   ours / {name}: {ratio:.3f}")


if __name__ == "__main__":
    asyncio.run(main())
