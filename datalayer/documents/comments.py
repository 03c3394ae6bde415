"""Comments on posts, and replies to comments."""

from collections.abc import Sequence
from typing import ClassVar

from datalayer.engine.document import Document, new_id
from datalayer.engine.fields import Count, File, MessageText, Name, Timestamp
from datalayer.engine.indexes import Index, TableSettings
from datalayer.ids import CommentId, PostId, UserId


class Comment(Document):
    """A comment on a post, or with `parent_id` a reply to a comment. `author_*` are copies of the author's profile."""

    id: CommentId = new_id()
    post_id: PostId
    author_id: UserId
    author_name: Name
    author_avatar: File | None = None
    parent_id: CommentId | None = None
    content: MessageText
    like_count: Count
    revision: Count | None = None
    created_at: Timestamp
    edited_at: Timestamp | None = None
    deleted_at: Timestamp | None = None

    class Settings(TableSettings):
        """The collection."""

        name = "comments"
        written_by = "community.comments: create, edit, delete"
        shard_key = ("postId", "_id")
        indexes: ClassVar[Sequence[Index]] = (
            Index("by_postId", "postId"),
            Index("by_authorId", "authorId"),
            Index("by_parentId", "parentId"),
            Index("by_postId_and_parentId", "postId", "parentId", why="top-level comments, newest first"),
        )
