"""Posts in spaces."""

from collections.abc import Sequence
from typing import Annotated, ClassVar

from pydantic import Field

from datalayer.engine.document import Document, new_id
from datalayer.engine.fields import Body, Count, File, Html, Name, Text, Timestamp
from datalayer.engine.indexes import Index, TableSettings
from datalayer.ids import PostId, SpaceId, UserId

MAX_MEDIA = 100


class Post(Document):
    """A post in a space. `author_*` are copies of the author's profile. The counters follow the likes and comments."""

    id: PostId = new_id()
    space_id: SpaceId
    author_id: UserId
    author_name: Name
    author_avatar: File | None = None
    title: Annotated[str, Text(1, 200)] | None = None
    content: Body
    content_html: Html
    media_ids: Annotated[list[File], Field(max_length=MAX_MEDIA)] | None = None
    like_count: Count
    comment_count: Count
    revision: Count | None = None
    pinned_at: Timestamp | None = None
    edited_at: Timestamp | None = None
    created_at: Timestamp
    deleted_at: Timestamp | None = None

    class Settings(TableSettings):
        """The collection."""

        name = "posts"
        written_by = "community.posts: create, edit, pin, delete"
        shard_key = ("spaceId", "_id")
        indexes: ClassVar[Sequence[Index]] = (
            Index("by_spaceId", "spaceId"),
            Index("by_authorId", "authorId"),
            Index("by_spaceId_and_createdAt", "spaceId", "createdAt"),
            Index("by_createdAt", "createdAt"),
            Index(
                "by_spaceId_and_pinnedAt_and_createdAt",
                *("spaceId", "pinnedAt", "createdAt"),
                where={"deletedAt": None},
                why="a feed page, pinned posts first, without a sort",
            ),
            Index(
                "by_authorId_and_createdAt",
                *("authorId", "createdAt"),
                where={"deletedAt": None},
                why="the posts of an author, or of the users that a user follows, newest first",
            ),
        )
