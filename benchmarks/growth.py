"""Measures pages in communities of 10,000, 100,000 and 1,000,000 posts, with everything else in proportion.

The queries are the same in each community. A thread, an inbox and unread notifications of the same size are added to
each. The feed is that of the largest space.
"""

import asyncio
import statistics
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from random import Random

from bson import ObjectId
from pymongo import AsyncMongoClient
from pymongo.asynchronous.database import AsyncDatabase

from benchmarks.keys import Recorder, keys_examined
from benchmarks.work import DATABASE, PAGE, Row
from datalayer import Community, Stories, embedded_server
from datalayer.documents import Comment, Conversation, Document, Message, Notification
from datalayer.engine.clock import MINUTE
from datalayer.ids import CommentId, PostId, SpaceId, UserId
from datalayer.seeding import World
from datalayer.seeding.loading import fill
from seed.measure import Silence
from seed.worlds import world

SIZES = (10_000, 100_000, 1_000_000)
DEPTH = 1_000
CALLS = 200
COMMENTS, REPLIES = 60, 3
CONVERSATIONS, UNREAD_MESSAGES = 100, 3
UNREAD_NOTIFICATIONS = 200

FEED, DEEP, THREAD, INBOX = "feed, page 1", f"feed, page {DEPTH:,}", "thread", "inbox"
UNREAD, ALL_TIME, WEEK = "unread count", "leaderboard, all time", "leaderboard, 7 days"

Call = Callable[[], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Cost:
    """The cost of a call: its median time, and the number of index keys that it examines."""

    milliseconds: float
    keys: int


@dataclass(frozen=True, slots=True)
class Grown:
    """A community of a certain size.

    Attributes:
        rows: The number of documents in its collections.
        seconds: The time it took to write them.
        depth: The number of the feed page `DEEP`; the last full page, if there are fewer.
    """

    rows: Mapping[str, int]
    seconds: float
    depth: int
    costs: Mapping[str, Cost]


Results = dict[int, Grown]


def scaled(posts: int) -> World:
    """Return the world `load`, scaled down. Some numbers of users are the minimum that its other numbers require."""
    full = world("load", 1)
    part = posts / full.posts
    return full.model_copy(
        update={
            "posts": posts,
            "users": max(1_000, int(full.users * part)),
            "founders": max(500, int(full.founders * part)),
            "rewarded_posts": int(full.rewarded_posts * part),
            "enrollments_per_course": int(full.enrollments_per_course * part),
            "events": int(full.events * part),
            "conversations": int(full.conversations * part),
            "reports": int(full.reports * part),
        }
    )


def _inbox(reader: UserId, others: Sequence[UserId], now: int) -> Iterator[Document]:
    for number, other in enumerate(others):
        moment = now - number * MINUTE
        talk = Conversation(participant_ids=sorted([reader, other]), last_message_at=moment, last_message_preview="Hi")
        yield talk
        for step in range(UNREAD_MESSAGES):
            yield Message(
                conversation_id=talk.id, sender_id=other, sender_name="Ada", content="Hi", created_at=moment - step
            )


def _thread(post_id: PostId, author_id: UserId, now: int) -> Iterator[Document]:
    def comment(created_at: int, parent_id: CommentId | None = None) -> Comment:
        return Comment(
            post_id=post_id,
            author_id=author_id,
            author_name="Ada",
            parent_id=parent_id,
            content="Yes",
            like_count=0,
            created_at=created_at,
        )

    for number in range(COMMENTS):
        yield (top := comment(now - number))
        for _ in range(REPLIES):
            yield comment(now, top.id)


async def _plant(database: AsyncDatabase[Row], now: int) -> tuple[PostId, UserId]:
    """Add a post with a thread, and a user with an inbox and notifications."""
    post = await database.posts.find_one({"deletedAt": None}, sort={"_id": -1})
    people = await database.users.find({}, {"_id": 1}, sort={"_id": 1}, limit=CONVERSATIONS).to_list()
    if post is None:
        raise LookupError("no posts")
    reader, others = UserId(ObjectId()), [UserId(person["_id"]) for person in people]
    planted: list[Document] = [*_inbox(reader, others, now), *_thread(PostId(post["_id"]), others[0], now)]
    planted += [
        Notification(user_id=reader, type="like", data={}, read=False, created_at=now - number)
        for number in range(UNREAD_NOTIFICATIONS)
    ]
    for kind in (Conversation, Message, Notification, Comment):
        rows = [document.to_wire() for document in planted if isinstance(document, kind)]
        await database[kind.Settings.name].insert_many(rows)
    return PostId(post["_id"]), reader


async def _largest_space(database: AsyncDatabase[Row]) -> SpaceId:
    count = [{"$sortByCount": "$spaceId"}, {"$limit": 1}]
    found = await (await database.posts.aggregate(count, hint="by_spaceId")).to_list()
    return SpaceId(found[0]["_id"])


async def _deep(community: Community, space_id: SpaceId) -> tuple[int, str | None]:
    """Return the number of the last full page up to `DEPTH`, and the cursor before it."""
    position, number = None, 1
    while number < DEPTH:
        page = await community.posts.feed(space_id, limit=PAGE, after=position)
        following = await community.posts.feed(space_id, limit=PAGE, after=page.next) if page.next else None
        if following is None or len(following.items) < PAGE:
            break
        position, number = page.next, number + 1
    return number, position


def _calls(
    community: Community, space_id: SpaceId, position: str | None, post_id: PostId, reader: UserId
) -> dict[str, Call]:
    return {
        FEED: lambda: community.posts.feed(space_id, limit=PAGE),
        DEEP: lambda: community.posts.feed(space_id, limit=PAGE, after=position),
        THREAD: lambda: community.comments.thread(post_id, limit=PAGE),
        INBOX: lambda: community.conversations.inbox(reader, limit=PAGE),
        UNREAD: lambda: community.notifications.unread_count(reader),
        ALL_TIME: lambda: community.points.leaderboard("all"),
        WEEK: lambda: community.points.leaderboard("week"),
    }


async def _milliseconds(calls: Mapping[str, Call]) -> dict[str, float]:
    """Return the median time of each call. The order changes each time, because a call may slow down the next one."""
    order, random = list(calls.items()), Random(1)  # noqa: S311
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(CALLS):
        random.shuffle(order)
        for name, call in order:
            start = time.perf_counter()
            await call()
            times[name].append(time.perf_counter() - start)
    return {name: statistics.median(own) * 1_000 for name, own in times.items()}


@asynccontextmanager
async def _opened(uri: str, now: int, recorder: Recorder | None = None) -> AsyncGenerator[Community]:
    listeners = [] if recorder is None else [recorder]
    async with (
        AsyncMongoClient[Row](uri, event_listeners=listeners) as client,
        Community.over(client[DATABASE], clock=lambda: now) as community,
    ):
        yield community


async def _grown(uri: str, posts: int) -> Grown:
    size = scaled(posts)
    recorder = Recorder()
    async with _opened(uri, size.now) as community, Stories.over(community.database) as stories:
        filled = await fill(community, stories, size, Silence())
        post_id, reader = await _plant(community.database, size.now)
        space_id = await _largest_space(community.database)
        depth, position = await _deep(community, space_id)
        times = await _milliseconds(_calls(community, space_id, position, post_id, reader))
        async with _opened(uri, size.now, recorder) as watched:
            costs = {
                name: Cost(times[name], await keys_examined(community.database, recorder, call))
                for name, call in _calls(watched, space_id, position, post_id, reader).items()
            }
        await community.database.client.drop_database(DATABASE)
    return Grown({table.name: table.count for table in filled.tables}, filled.seconds, depth, costs)


async def measure(sizes: Sequence[int] = SIZES) -> Results:
    """Measure all sizes, the smallest first."""
    results: Results = {}
    async with embedded_server() as uri:
        for posts in sizes:
            results[posts] = await _grown(uri, posts)
            told = "  ".join(
                f"{name}: {cost.milliseconds:.2f} ms, {cost.keys} keys" for name, cost in results[posts].costs.items()
            )
            print(f"  {posts:,} posts in {results[posts].seconds:.0f} s  {told}", flush=True)
    return results


if __name__ == "__main__":
    asyncio.run(measure())
