"""Follows between users."""

from collections.abc import Sequence
from typing import ClassVar

from pydantic import ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

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

    @field_validator("following_id")
    @classmethod
    def _is_another_one(cls, following_id: UserId, info: ValidationInfo) -> UserId:
        """The same rule as `check`, for documents that never reach the server."""
        if following_id == info.data.get("follower_id"):
            raise PydanticCustomError("self_follow", "must be another user")
        return following_id

    class Settings(TableSettings):
        """The collection."""

        name = "follows"
        check: ClassVar = {"$expr": {"$ne": ["$followerId", "$followingId"]}}
        written_by = "community.follows: follow, unfollow"
        shard_key = ("followerId",)
        indexes: ClassVar[Sequence[Index]] = (
            Index("by_followerId", "followerId"),
            Index("by_followingId", "followingId"),
            Index("by_followerId_and_followingId", "followerId", "followingId", unique=True),
        )
