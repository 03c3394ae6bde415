"""What people are told."""

from datalayer.engine.document import Document, new_id
from datalayer.engine.fields import File, Json, Name, Timestamp
from datalayer.engine.indexes import Index, TableSettings
from datalayer.ids import NotificationId, UserId


class Notification(Document):
    """A message to a user about what an actor did. `data` belongs to the application."""

    id: NotificationId = new_id()
    user_id: UserId
    type: Name
    actor_id: UserId | None = None
    actor_name: Name | None = None
    actor_avatar: File | None = None
    data: Json
    read: bool
    created_at: Timestamp

    class Settings(TableSettings):
        """The collection."""

        name = "notifications"
        shard_key = ("userId", "_id")
        indexes = (
            Index("by_userId", "userId"),
            Index("by_userId_and_read", "userId", "read"),
            Index("by_userId_and_createdAt", "userId", "createdAt"),
        )
