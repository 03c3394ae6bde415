# ruff: noqa: INP001 - a script, and no part of a package
"""A community with fields, queries and collections of an application's own.

python -m examples.extended
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, NewType

from bson import ObjectId
from pymongo.asynchronous.database import AsyncDatabase

from datalayer import Community, Page, embedded_server
from datalayer.documents import Document, Index, User
from datalayer.engine.boundary import Cursor, Limit
from datalayer.engine.clock import Clock
from datalayer.engine.document import new_id
from datalayer.engine.extension import Extension
from datalayer.engine.fields import Count, ExternalId, Positive, ReferenceKey, Text, Timestamp
from datalayer.engine.ids import new_object_id, register_id_types
from datalayer.engine.indexes import TableSettings
from datalayer.engine.repository import Repository
from datalayer.ids import UserId

Timezone = Annotated[str, Text(1, 64)]


class Member(User):
    """A user of the library, with a time zone."""

    x_timezone: Timezone | None = None

    class Settings(User.Settings):
        """The collection of `User`, with an index more."""

        indexes = (*User.Settings.indexes, Index("x_by_timezone", "xTimezone", why="members.in_timezone"))


class Members(Extension[Member, UserId]):
    """What the application asks of users besides `app.users`."""

    document = Member

    async def set_timezone(self, id: UserId, timezone: Timezone | None) -> Member:
        """Set the time zone; `None` removes it. One round trip, `_id`.

        Raises:
            NotFoundError: The user does not exist.
        """
        return await self._set(id, x_timezone=timezone)

    async def in_timezone(self, timezone: Timezone, *, limit: Limit = 20, after: Cursor | None = None) -> Page[Member]:
        """Return the members of a time zone, newest first. One round trip, x_by_timezone."""
        return await self._page({"xTimezone": timezone}, "x_by_timezone", limit, after)


WebhookEventId = NewType("WebhookEventId", ObjectId)
RateWindowId = NewType("RateWindowId", ObjectId)
register_id_types([WebhookEventId, RateWindowId])


class WebhookEvent(Document):
    """An event of another service that was handled."""

    id: WebhookEventId = new_id()
    event_id: ExternalId
    handled_at: Timestamp

    class Settings(TableSettings):
        """The collection."""

        name = "x_webhookEvents"
        indexes = (
            Index("by_eventId", "eventId", unique=True, why="an event is handled once"),
            Index("by_handledAt", "handledAt", why="webhooks.forget"),
        )


class Webhooks(Repository[WebhookEvent, WebhookEventId]):
    """The events that were handled."""

    document = WebhookEvent

    async def record(self, event_id: ExternalId) -> bool:
        """Record an event. Returns `False` if it was recorded before. One round trip, by_eventId.

        Call it in the transaction that handles the event.
        """
        before = await self._collection.find_one_and_update(
            {"eventId": event_id},
            {"$setOnInsert": {"_id": new_object_id(), "handledAt": self._now()}},
            upsert=True,
            hint="by_eventId",
        )
        return before is None

    async def forget(self, before: Timestamp) -> int:
        """Remove the events that were handled before a time; return how many. One round trip, by_handledAt."""
        gone = await self._collection.delete_many({"handledAt": {"$lt": before}}, hint="by_handledAt")
        return gone.deleted_count


class RateWindow(Document):
    """How often something was tried within a span of time."""

    id: RateWindowId = new_id()
    key: ReferenceKey
    begins_at: Timestamp
    ends_at: Timestamp
    tries: Count

    class Settings(TableSettings):
        """The collection."""

        name = "x_rateWindows"
        indexes = (
            Index("by_key_and_window", "key", "beginsAt", "endsAt", unique=True, why="a window counts once"),
            Index("by_endsAt", "endsAt", why="rate_limits.forget"),
        )


class RateLimits(Repository[RateWindow, RateWindowId]):
    """How often something may be tried, counted exactly across all processes."""

    document = RateWindow

    async def allow(self, key: ReferenceKey, *, times: Positive, seconds: Positive) -> bool:
        """Count a try. Returns `False` if there were `times` in this window before. One round trip, by_key_and_window.

        Windows begin at multiples of `seconds`, so around the end of one there may be twice as many within `seconds`.
        """
        length, now = 1_000 * seconds, self._now()
        begins_at = now - now % length
        window = await self._collection.find_one_and_update(
            {"key": key, "beginsAt": begins_at, "endsAt": begins_at + length},
            {"$inc": {"tries": 1}, "$setOnInsert": {"_id": new_object_id()}},
            upsert=True,
            hint="by_key_and_window",
        )
        return window is None or window["tries"] < times

    async def forget(self) -> int:
        """Remove the windows that are over; return how many. One round trip, by_endsAt."""
        gone = await self._collection.delete_many({"endsAt": {"$lt": self._now()}}, hint="by_endsAt")
        return gone.deleted_count


class App(Community):
    """The community of the application."""

    documents = Community.extended(Member, WebhookEvent, RateWindow)

    def __init__(self, database: AsyncDatabase[dict[str, Any]], clock: Clock) -> None:
        super().__init__(database, clock)
        self.members = Members(self._connection)
        self.webhooks = Webhooks(self._connection)
        self.rate_limits = RateLimits(self._connection)

    async def handle_once(self, event_id: ExternalId, work: Callable[[], Awaitable[object]]) -> bool:
        """Do the work for an event once, however often it is delivered. Returns `False` if it was done before."""

        async def handle() -> bool:
            if not await self.webhooks.record(event_id):
                return False
            await work()
            return True

        return await self.transaction(handle)


async def main() -> None:
    """Use each part once."""
    async with embedded_server() as uri, App.connect(uri) as app:
        ada = await app.users.create(name="Ada")
        await app.members.set_timezone(ada.id, "Europe/Berlin")
        page = await app.members.in_timezone("Europe/Berlin")
        print([(member.name, member.x_timezone) for member in page.items])

        news = await app.spaces.create(name="News")

        async def announce() -> None:
            await app.posts.create(news.id, ada.id, content="A new video", content_html="<p>A new video</p>")

        print([await app.handle_once("evt_1", announce) for _ in range(3)])
        print(len((await app.posts.feed(news.id)).items), "post")

        print([await app.rate_limits.allow(f"post:{ada.id}", times=2, seconds=60) for _ in range(3)])


if __name__ == "__main__":
    asyncio.run(main())
