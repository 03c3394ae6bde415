"""The work that every library does, and its documents."""

import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from bson import ObjectId

from benchmarks.pairs import Work

DATABASE = "community"
LISTED = 1_000
PAGE = 20
BULK = 10_000

FEED_INDEX = "by_spaceId_and_pinnedAt_and_createdAt"
FEED_ORDER = (("pinnedAt", -1), ("createdAt", -1), ("_id", -1))

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Stage:
    """The prepared database.

    Attributes:
        space_id: The space whose feed is read.
        ids: The ids of the posts in it.
        bulk_space_id: The space into which many posts are written; it is emptied after each run.
    """

    uri: str
    space_id: ObjectId
    ids: Sequence[ObjectId]
    bulk_space_id: ObjectId

    def one(self) -> ObjectId:
        """Return the id of some post."""
        return random.choice(self.ids)  # noqa: S311

    def by_id(self) -> Row:
        """Return the filter for some post that is not deleted."""
        return {"_id": self.one(), "deletedAt": None}

    def feed(self) -> Row:
        """Return the filter of the feed."""
        return {"spaceId": self.space_id, "deletedAt": None}

    def listed(self) -> Row:
        """Return the filter of a long list."""
        return {"_id": {"$in": self.ids[:LISTED]}, "deletedAt": None}


@dataclass(frozen=True, slots=True)
class Operations:
    """The operations of a library; `bulk` creates this many posts, as the library's own objects, and writes them."""

    get: Work
    page: Work
    listed: Work
    create: Work
    bulk: Callable[[int], Awaitable[object]]


def post(space_id: ObjectId, number: int) -> Row:
    """Return a post of about 2 kB, without its `_id`."""
    return {
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


def user() -> Row:
    """Return a user, without the `_id`."""
    return {
        "name": "Ada",
        "visibility": "public",
        "role": "member",
        "points": 0,
        "level": 1,
        "createdAt": 1_700_000_000_000,
        "updatedAt": 1_700_000_000_000,
    }
