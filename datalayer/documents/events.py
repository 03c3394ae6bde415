"""Events and RSVPs."""

from collections.abc import Sequence
from typing import ClassVar, Literal, TypeAlias

from datalayer.engine.document import Document, Record, new_id
from datalayer.engine.fields import Count, File, Html, Positive, ShortText, Timestamp, Title
from datalayer.engine.indexes import Index, TableSettings
from datalayer.ids import EventId, RsvpId, UserId

Frequency: TypeAlias = Literal["daily", "weekly", "monthly"]
RsvpStatus: TypeAlias = Literal["going", "maybe", "notGoing"]


class Recurrence(Record):
    """Repeats every `interval` days, weeks or months, in UTC: until `end_date`, `end_after` times, or without end."""

    frequency: Frequency
    interval: Positive
    end_date: Timestamp | None = None
    end_after: Positive | None = None


class Event(Document):
    """An event. `rsvp_count` is the number of RSVPs with the status `going`.

    `start_time` and `end_time` are those of the first occurrence. `series_end_time` is the end of the last occurrence
    of a recurring event that ends; `upcoming` and `past` treat a recurring event without it as endless.
    """

    id: EventId = new_id()
    title: Title
    description: ShortText | None = None
    description_html: Html | None = None
    cover_storage_id: File | None = None
    start_time: Timestamp
    end_time: Timestamp
    location: ShortText | None = None
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
                why="non-recurring events in a range, and past ones",
            ),
            Index(
                "by_seriesEndTime_and_startTime",
                *("seriesEndTime", "startTime"),
                where={"deletedAt": None, "recurrence.frequency": {"$exists": True}},
                why="recurring events in a range, and past ones",
            ),
        )


class Rsvp(Document):
    """A user's RSVP to an event."""

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
            Index("by_eventId_and_status", "eventId", "status", why="the attendees of an event, and their number"),
        )
