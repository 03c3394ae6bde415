"""The request and response models.

The documents hold more than clients should see (`authUserId`, `revision`), so each response names its fields. They are
read from the documents' attributes, and written in camelCase. The limits of the input are the library's.
"""

from typing import Generic, TypeVar

from pydantic import AliasGenerator, BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from datalayer.documents.spaces import Visibility
from datalayer.ids import CommentId, PostId, SpaceId, UserId

T = TypeVar("T")


class Input(BaseModel):
    """A request body; unknown fields are rejected."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid")


class NewSpace(Input):
    """A space to create."""

    name: str
    description: str | None = None
    visibility: Visibility = "public"


class NewPost(Input):
    """A post to create."""

    content: str
    title: str | None = None


class PostChanges(Input):
    """Changes to a post. Omitted fields stay unchanged; a null title is removed."""

    content: str = ""
    title: str | None = None


class NewComment(Input):
    """A comment to create; with a parent, a reply."""

    content: str
    parent_id: CommentId | None = None


class Output(BaseModel):
    """A response."""

    model_config = ConfigDict(from_attributes=True, alias_generator=AliasGenerator(serialization_alias=to_camel))


class PageOut(Output, Generic[T]):
    """A page of a list; `next` is the `after` of the one that follows, null on the last one."""

    items: list[T]
    next: str | None


class SpaceOut(Output):
    """A space."""

    id: SpaceId
    name: str
    description: str | None
    visibility: Visibility


class PostOut(Output):
    """A post. Times are Unix milliseconds."""

    id: PostId
    space_id: SpaceId
    author_id: UserId
    author_name: str
    title: str | None
    content_html: str
    like_count: int
    comment_count: int
    pinned_at: int | None
    created_at: int
    edited_at: int | None


class CommentOut(Output):
    """A comment."""

    id: CommentId
    author_id: UserId
    author_name: str
    content: str
    like_count: int
    created_at: int


class ThreadOut(Output):
    """A comment with its replies, oldest first."""

    comment: CommentOut
    replies: list[CommentOut]


class LikeOut(Output):
    """The state after a like or unlike."""

    liked: bool
    like_count: int
