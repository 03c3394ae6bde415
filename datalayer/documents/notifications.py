"""Notifications."""

from collections.abc import Sequence
from typing import ClassVar

from datalayer.engine.document import Document, new_id
from datalayer.engine.fields import File, Json, Name, Positive, ReferenceKey, Timestamp
from datalayer.engine.indexes import Index, TableSettings
from datalayer.ids import NotificationId, UserId


class Notification(Document):
    """A notification to a user about what an actor did. `data` belongs to the application.

    A notification with a `gather_key` counts several acts in `gather_count`, as in "5 people liked your post", and
    shows the newest actor. `once` is the name of the announcement that it belongs to.
    """

    id: NotificationId = new_id()
    user_id: UserId
    type: Name
    actor_id: UserId | None = None
    actor_name: Name | None = None
    actor_avatar: File | None = None
    data: Json
    read: bool
    created_at: Timestamp
    gather_key: ReferenceKey | None = None
    gather_count: Positive | None = None
    once: ReferenceKey | None = None

    class Settings(TableSettings):
        """The collection."""

        name = "notifications"
        written_by = "community.notifications: notify, mark_read, delete"
        shard_key = ("userId",)
        indexes: ClassVar[Sequence[Index]] = (
            Index("by_userId", "userId"),
            Index("by_userId_and_read", "userId", "read"),
            Index("by_userId_and_createdAt", "userId", "createdAt"),
            Index(
                "by_userId_and_type_and_gatherKey",
                *("userId", "type", "gatherKey"),
                unique=True,
                where={"read": False, "gatherKey": {"$exists": True}},
                why="at most one unread notification for all acts of one type on one target",
            ),
            Index(
                "by_userId_and_once",
                *("userId", "once"),
                unique=True,
                where={"once": {"$exists": True}},
                why="each user gets an announcement at most once",
            ),
        )
