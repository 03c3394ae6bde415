"""The users of the community."""

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal, TypeAlias

from pydantic import Field

from datalayer.engine.document import Document, Record, new_id
from datalayer.engine.fields import Count, ExternalId, File, Name, Positive, Text, Timestamp
from datalayer.engine.indexes import Index, TableSettings
from datalayer.ids import UserId

ProfileVisibility: TypeAlias = Literal["public", "private"]
Role: TypeAlias = Literal["admin", "moderator", "member"]
DigestFrequency: TypeAlias = Literal["immediate", "daily", "weekly", "off"]


class NotificationPrefs(Record):
    """Which emails a user wants to receive."""

    email_comments: bool
    email_replies: bool
    email_followers: bool
    email_events: bool
    email_courses: bool
    email_dms: Annotated[bool, Field(alias="emailDMs")]
    digest_frequency: DigestFrequency


class User(Document):
    """A member of the community. `points` and `level` follow the user's points entries."""

    id: UserId = new_id()
    name: Name | None = None
    auth_user_id: ExternalId | None = None
    bio: Annotated[str, Text(0, 500)] | None = None
    avatar_storage_id: File | None = None
    visibility: ProfileVisibility
    role: Role
    points: Count
    level: Positive
    notification_prefs: NotificationPrefs | None = None
    revision: Count | None = None
    created_at: Timestamp
    updated_at: Timestamp

    class Settings(TableSettings):
        """The collection."""

        name = "users"
        written_by = "community.users: create, update_profile, set_role, delete"
        indexes: ClassVar[Sequence[Index]] = (
            Index("by_role", "role"),
            Index("by_points", "points"),
            Index("by_points_and_id", "-points", "_id", why="the leaderboard of all time, ties ordered by id"),
            Index("by_createdAt", "createdAt", why="the directory, newest first"),
            Index(
                "by_authUserId",
                "authUserId",
                unique=True,
                where={"authUserId": {"$exists": True}},
                why="one user per account of the auth service",
            ),
        )
