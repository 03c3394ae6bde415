"""Events, and who comes."""

from collections.abc import Sequence
from typing import ClassVar, Literal, TypeAlias

from datalayer.engine.document import Document, Record, new_id
from datalayer.engine.fields import Count, File, Html, Note, Positive, Timestamp, Title
from datalayer.engine.indexes import Index, TableSettings
from datalayer.ids import EventId, RsvpId, UserId

Frequency: TypeAlias = Literal["daily", "weekly", "monthly"]
RsvpStatus: TypeAlias = Literal["going", "maybe", "notGoing"]


class Recurrence(Record):
    """Every `interval` days, weeks or months, in UTC: until `end_date`, `end_after` times, or for ever."""

    frequency: Frequency
    interval: Positive
    end_date: Timestamp | None = None
    end_after: Positive | None = None


class Event(Document):
    """An event. `rsvp_count` is the number of people going.

    `start_time` and `end_time` are the first occurrence's. `series_end_time` is the end of the last one, of an event
    that repeats and comes to an end; `upcoming` and `past` take one that repeats without it for endless.
    """

    id: EventId = new_id()
    title: Title
    description: Note | None = None
    description_html: Html | None = None
    cover_storage_id: File | None = None
    start_time: Timestamp
    end_time: Timestamp
    location: Note | None = None
    capacity: Count | None = None
    rsvp_count: Count
    revision: Count | None = None
    recurrence: Recurrence | None = None
    series_end_time: Timestamp | None = None
    created_at: Timestamp
    deleted_at: Timestamp | None = None

    class Settings(TableSettings):
        """The collection."""

        name = "events"
        written_by = "community.events: create, update, delete"
        indexes: ClassVar[Sequence[Index]] = (
            Index("by_startTime", "startTime"),
            Index("by_endTime", "endTime"),
            Index(
                "by_endTime_and_startTime",
                *("endTime", "startTime"),
                where={"deletedAt": None, "recurrence": None},
                why="the events of a range, and those that are over, among those that do not repeat",
            ),
            Index(
                "by_seriesEndTime_and_startTime",
                *("seriesEndTime", "startTime"),
                where={"deletedAt": None, "recurrence.frequency": {"$exists": True}},
                why="the events that repeat within a range, and those that are over",
            ),
        )


class Rsvp(Document):
    """A user's answer to an event."""

    id: RsvpId = new_id()
    event_id: EventId
    user_id: UserId
    status: RsvpStatus
    created_at: Timestamp
    updated_at: Timestamp

    class Settings(TableSettings):
        """The collection."""

        name = "rsvps"
        written_by = "community.rsvps: set, withdraw"
        shard_key = ("eventId",)
        indexes: ClassVar[Sequence[Index]] = (
            Index("by_eventId", "eventId"),
            Index("by_userId", "userId"),
            Index("by_eventId_and_userId", "eventId", "userId", unique=True),
            Index("by_eventId_and_status", "eventId", "status", why="who comes to an event, and how many"),
        )
