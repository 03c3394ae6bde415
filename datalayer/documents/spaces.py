"""Spaces, and the visits of users to them."""

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal, TypeAlias

from datalayer.engine.document import Document, new_id
from datalayer.engine.fields import Count, Name, Text, Timestamp
from datalayer.engine.indexes import Index, TableSettings
from datalayer.ids import SpaceId, SpaceVisitId, UserId

Visibility: TypeAlias = Literal["public", "members", "paid"]
"""Who can see a space or a course: everyone, all members, or members with the required tier."""

PostPermission: TypeAlias = Literal["all", "moderators", "admin"]


class Space(Document):
    """A space for posts. `order` is its position among the spaces, from 0."""

    id: SpaceId = new_id()
    name: Annotated[str, Text(1, 50)]
    description: Annotated[str, Text(0, 200)] | None = None
    icon: Name | None = None
    visibility: Visibility
    post_permission: PostPermission
    required_tier: Name | None = None
    order: Count
    revision: Count | None = None
    created_at: Timestamp
    deleted_at: Timestamp | None = None

    class Settings(TableSettings):
        """The collection."""

        name = "spaces"
        written_by = "community.spaces: create, update, reorder, delete"
        indexes: ClassVar[Sequence[Index]] = (
            Index("by_order", "order"),
            Index("by_visibility", "visibility"),
            Index(
                "by_deletedAt_and_order",
                *("deletedAt", "order"),
                unique=True,
                where={"deletedAt": None},
                why="the spaces in order, unique positions",
            ),
        )


class SpaceVisit(Document):
    """The time of a user's last visit to a space."""

    id: SpaceVisitId = new_id()
    user_id: UserId
    space_id: SpaceId
    last_visited_at: Timestamp

    class Settings(TableSettings):
        """The collection."""

        name = "spaceVisits"
        written_by = "community.space_visits: record"
        shard_key = ("userId",)
        indexes: ClassVar[Sequence[Index]] = (
            Index("by_userId", "userId"),
            Index("by_userId_and_spaceId", "userId", "spaceId", unique=True),
        )
