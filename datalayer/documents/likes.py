"""Likes of posts and comments."""

from collections.abc import Sequence
from typing import ClassVar, Literal, TypeAlias

from datalayer.engine.document import Document, new_id
from datalayer.engine.fields import Timestamp
from datalayer.engine.indexes import Index, TableSettings
from datalayer.ids import CommentId, LikeId, NotificationId, PostId, UserId

LikeTarget: TypeAlias = Literal["post", "comment"]


class Like(Document):
    """A user's like of a post or comment. `target_id` is the id of that document.

    `notification_id` is the gathered notification that counts the like.
    """

    id: LikeId = new_id()
    user_id: UserId
    target_type: LikeTarget
    target_id: PostId | CommentId
    created_at: Timestamp
    notification_id: NotificationId | None = None

    class Settings(TableSettings):
        """The collection."""

        name = "likes"
        written_by = "community.likes: like, unlike, toggle"
        shard_key = ("userId",)
        indexes: ClassVar[Sequence[Index]] = (
            Index("by_userId", "userId"),
            Index("by_target", "targetType", "targetId"),
            Index("by_userId_and_target", "userId", "targetType", "targetId", unique=True),
        )
