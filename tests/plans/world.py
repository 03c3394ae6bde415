"""A world in which every query finds something, and which is as it was after every call."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import bson
from bson import ObjectId
from bson.raw_bson import RawBSONDocument
from pymongo import AsyncMongoClient
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.monitoring import CommandListener

from datalayer import Community, Stories
from datalayer.seeding import fill
from datalayer.testing import CommandLog
from seed.worlds import world
from tests.seeding.places import Notes

SIZES = {"reports": 120, "events": 60, "rsvps_per_event": 16, "courses": 12, "enrollments_per_course": 18, "stories": 8}

FEW = {
    "posts": 60,
    "rewarded_posts": 60,
    "reports": 20,
    "events": 20,
    "rsvps_per_event": 6,
    "courses": 5,
    "conversations": 16,
    "messages_per_conversation": 4,
    "stories": 4,
    "founders": 20,
    "users": 22,
    "likes_per_post": 2.5,
    "enrollments_per_course": 8,
    "follows_per_user": 4,
}
"""The sizes of a world in which each query still finds something, for tests to which plans do not matter."""

AT_ONCE = 1_000_000

Rows = dict[bytes, bytes]
"""Documents as they are stored, by their ids: decoding both takes far longer than reading and comparing them."""


def changes(before: Rows, after: Rows) -> dict[ObjectId, dict[str, Any] | None]:
    """The documents that differ, as they are afterwards; `None` for those that are gone."""
    gone: dict[ObjectId, None] = {ObjectId(id): None for id in before if id not in after}
    new = {ObjectId(id): bson.decode(row) for id, row in after.items() if before.get(id) != row}
    return {**gone, **new}


class World:
    """A filled database, and those documents in it that have the most of something."""

    def __init__(
        self, community: Community, stories: Stories, log: CommandLog, quiet: AsyncDatabase[dict[str, Any]], now: int
    ) -> None:
        self.c, self.s, self.log, self.now = community, stories, log, now
        self.quiet = quiet
        """The same database, of whose commands the log hears nothing."""
        self._rows: dict[str, Rows] = {}
        self._ids: dict[str, Any] = {}

    async def choose(self) -> None:
        """Remember how everything is, and find what has the most."""
        for document in (*Community.documents, *Stories.documents):
            self._rows[document.Settings.name] = await self.rows(document.Settings.name)
        alive = {"deletedAt": None}
        pending = {"status": "pending", "targetType": "post"}
        upcoming = [event["_id"] async for event in self.quiet.events.find({**alive, "startTime": {"$gt": self.now}})]
        published = [course["_id"] async for course in self.quiet.courses.find({**alive, "status": "published"})]
        members = [user["_id"] async for user in self.quiet.users.find({"role": "member"})]
        posts = [post["_id"] async for post in self.quiet.posts.find(alive)]
        author = await self._most("posts", "authorId", **alive)
        self._ids = {
            "author": author,
            "commenter": await self._most("comments", "authorId", **alive),
            "liker": await self._most("likes", "userId"),
            "liked": await self._most("likes", "targetId", targetId={"$in": posts}),
            "follower": await self._most("follows", "followerId"),
            "followed": await self._most("follows", "followingId"),
            "space": await self._most("posts", "spaceId", **alive),
            "post": await self._most("comments", "postId", parentId=None, postId={"$in": posts}, **alive),
            "parent": await self._most("comments", "parentId", parentId={"$ne": None}, **alive),
            "course": await self._most("enrollments", "courseId", courseId={"$in": published}),
            "student": await self._most("enrollments", "userId", courseId={"$in": published}),
            "lesson": await self._most("lessonProgress", "lessonId"),
            "learner": await self._most("lessonProgress", "userId"),
            "event": await self._most("rsvps", "eventId", eventId={"$in": upcoming}, status="going"),
            "guest": await self._most("rsvps", "userId"),
            "talker": await self._most("messages", "senderId", senderId={"$ne": author}, **alive),
            "conversation": await self._most("messages", "conversationId", **alive),
            "informed": await self._most("notifications", "userId", read=False),
            "earner": await self._most("points", "userId", userId={"$in": members}),
            "reported": await self._most("reports", "targetId", **pending),
            "story": await self._most("scenes", "storyId"),
            "chapter": await self._most("scenes", "chapterId"),
        }

    def __getattr__(self, name: str) -> Any:
        try:
            return self.__dict__["_ids"][name]
        except KeyError:
            raise AttributeError(name) from None

    async def one(self, table: str, **filter: Any) -> dict[str, Any]:
        """The first document that the filter finds; there is one."""
        found = await self.quiet[table].find_one(filter, sort={"_id": 1})
        assert found is not None, (table, filter)
        return found

    async def ids(self, table: str, **filter: Any) -> list[Any]:
        """The ids of all that the filter finds; there are some."""
        found = [row["_id"] for row in await self.quiet[table].find(filter, {"_id": 1}, sort={"_id": 1}).to_list()]
        assert found, (table, filter)
        return found

    async def rows(self, table: str) -> Rows:
        """What is in a table at this moment."""
        found: Rows = {}
        async for batch in self.quiet[table].find_raw_batches(batch_size=AT_ONCE):
            start = 0
            while start < len(batch):
                end = start + int.from_bytes(batch[start : start + 4], "little")
                # A stored document begins with its `_id`: a length, a type and the name go before.
                found[batch[start + 9 : start + 21]] = batch[start:end]
                start = end
        return found

    def pristine(self, table: str) -> Rows:
        """What was in it in the beginning."""
        return self._rows[table]

    async def put_back(self, table: str, rows: Rows | None = None, there: Rows | None = None) -> None:
        """Let the table be as it was in the beginning, or as it was when these rows were read.

        Who has just read what is `there` says so.
        """
        wanted = self._rows[table] if rows is None else rows
        there = await self.rows(table) if there is None else there
        wrong = [ObjectId(id) for id, row in there.items() if wanted.get(id) != row]
        if wrong:
            await self.quiet[table].delete_many({"_id": {"$in": wrong}})
        lost = [RawBSONDocument(row) for id, row in wanted.items() if there.get(id) != row]
        if lost:
            await self.quiet[table].insert_many(lost)

    async def _most(self, table: str, field: str, **filter: Any) -> Any:
        groups = [{"$match": filter}, {"$group": {"_id": f"${field}", "count": {"$sum": 1}}}]
        order = [{"$sort": {"count": -1, "_id": 1}}, {"$limit": 1}]
        (found,) = await (await self.quiet[table].aggregate([*groups, *order])).to_list()
        return found["_id"]


@asynccontextmanager
async def opened(
    uri: str,
    name: str = "plans",
    *,
    through: str | None = None,
    listeners: Sequence[CommandListener] = (),
    **sizes: int,
) -> AsyncIterator[World]:
    """A world in a database of its own; its repositories reach it through another URI, if one is given."""
    log, small = CommandLog(), world("small", 1).model_copy(update=SIZES | sizes)
    async with (
        AsyncMongoClient(through or uri, event_listeners=[log, *listeners]) as client,
        AsyncMongoClient(uri) as quiet,
    ):
        database = client[name]
        async with (
            Community.over(database, clock=lambda: small.now) as community,
            Stories.over(database, clock=lambda: small.now) as stories,
        ):
            await fill(community, stories, small, Notes())
            found = World(community, stories, log, quiet[name], small.now)
            await found.choose()
            yield found
        await quiet.drop_database(name)
