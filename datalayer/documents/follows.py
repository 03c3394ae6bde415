"""Who follows whom."""

from datalayer.engine.document import Document, new_id
from datalayer.engine.fields import Timestamp
from datalayer.engine.indexes import Index, TableSettings
from datalayer.ids import FollowId, UserId


class Follow(Document):
    """One user follows another."""

    id: FollowId = new_id()
    follower_id: UserId
    following_id: UserId
    created_at: Timestamp

    class Settings(TableSettings):
        """The collection."""

        name = "follows"
        shard_key = ("followerId",)
        indexes = (
            Index("by_followerId", "followerId"),
            Index("by_followingId", "followingId"),
            Index("by_followerId_and_followingId", "followerId", "followingId", unique=True),
        )
