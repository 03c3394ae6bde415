"""Likes of posts and comments."""

from typing import Literal, TypeAlias

from datalayer.engine.document import Document, new_id
from datalayer.engine.fields import Timestamp
from datalayer.engine.indexes import Index, TableSettings
from datalayer.ids import CommentId, LikeId, PostId, UserId

LikeTarget: TypeAlias = Literal["post", "comment"]


class Like(Document):
    """Somebody likes a post or a comment; `target_id` is that document's own id."""

    id: LikeId = new_id()
    user_id: UserId
    target_type: LikeTarget
    target_id: PostId | CommentId
    created_at: Timestamp

    class Settings(TableSettings):
        """The collection."""

        name = "likes"
        shard_key = ("userId",)
        indexes = (
            Index("by_userId", "userId"),
            Index("by_target", "targetType", "targetId"),
            Index("by_userId_and_target", "userId", "targetType", "targetId", unique=True),
        )
