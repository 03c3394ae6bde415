"""Reading and making one document, a page and 1,000 documents: the driver with plain dicts, this library, and Beanie.

Beanie queries the same document classes, so what differs is how it gets from the wire to an instance. Posts of about 2
kB, on a temporary embedded server.
"""

import asyncio
import random
from functools import partial
from typing import Any

from bson import ObjectId
from pymongo import AsyncMongoClient

from benchmarks.pairs import Work, ratios
from datalayer import Community, embedded_server
from datalayer.documents import Post
from datalayer.ids import SpaceId

POSTS = 3_000
LISTED = 1_000
PAGE = 20

_FEED = "by_spaceId_and_pinnedAt_and_createdAt"


def _post(space_id: SpaceId, number: int) -> dict[str, Any]:
    return {
        "_id": ObjectId(),
        "spaceId": space_id,
        "authorId": ObjectId(),
        "authorName": "Ada Lovelace",
        "authorAvatar": "avatars/1.jpg",
        "title": "On the Analytical Engine",
        "content": "lorem " * 150,
        "contentHtml": f"<p>{'lorem ' * 150}</p>",
        "mediaIds": ["media/1.jpg", "media/2.jpg"],
        "likeCount": 12,
        "commentCount": 3,
        "editedAt": 1_700_000_000_000,
        "createdAt": 1_700_000_000_000 + number,
    }


def _ways(community: Community, raw: Any, space_id: SpaceId, ids: list[Any]) -> dict[str, dict[str, Work]]:  # noqa: ANN401
    feed: dict[str, Any] = {"spaceId": space_id, "deletedAt": None}
    order: Any = [("pinnedAt", -1), ("createdAt", -1), ("_id", -1)]
    listed: dict[str, Any] = {"_id": {"$in": ids[:LISTED]}, "deletedAt": None}
    one = partial(random.Random(1).choice, ids)  # noqa: S311
    user: dict[str, Any] = {"name": "Ada", "visibility": "public", "role": "member", "points": 0, "level": 1}
    return {
        "get by id": {
            "driver": lambda: raw.posts.find_one({"_id": one(), "deletedAt": None}),
            "datalayer": lambda: community.posts.get(one()),
            "beanie": lambda: Post.find_one({"_id": one(), "deletedAt": None}),
        },
        f"page of {PAGE}": {
            "driver": lambda: raw.posts.find(feed, sort=order, limit=PAGE + 1, hint=_FEED).to_list(),
            "datalayer": lambda: community.posts.feed(space_id, limit=PAGE),
            "beanie": lambda: Post.find(feed, sort=order, limit=PAGE + 1, hint=_FEED).to_list(),
        },
        f"{LISTED:,} by id": {
            "driver": lambda: raw.posts.find(listed, batch_size=LISTED + 1).to_list(),
            "datalayer": lambda: community.posts.get_many(ids[:LISTED]),
            "beanie": lambda: Post.find(listed, batch_size=LISTED + 1).to_list(),
        },
        "create one": {
            "driver": lambda: raw.users.insert_one(user | {"_id": ObjectId(), "createdAt": 1, "updatedAt": 1}),
            "datalayer": lambda: community.users.create(name="Ada"),
        },
    }


async def main() -> None:
    """Measure and print."""
    async with (
        embedded_server() as uri,
        AsyncMongoClient[dict[str, Any]](uri) as client,
        Community.over(client["community"]) as community,
    ):
        space = await community.spaces.create(name="General")
        posts = [_post(space.id, number) for number in range(POSTS)]
        await client["community"].posts.insert_many(posts)
        ways = _ways(community, client["community"], space.id, [post["_id"] for post in posts])
        print("Time, as a multiple of the driver's with plain dicts (median of paired ratios):")
        for name, works in ways.items():
            for tasks, times in ((1, 8), (32, 1)):
                found = await ratios(works, tasks=tasks, times=times)
                print(
                    f"  {name:<12} {tasks:3} tasks  " + "  ".join(f"{way} {ratio:.2f}" for way, ratio in found.items())
                )


if __name__ == "__main__":
    asyncio.run(main())
