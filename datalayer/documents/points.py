"""Points, the rules that award them, and levels."""

from collections.abc import Sequence
from typing import Annotated, ClassVar

from datalayer.engine.document import Document, new_id
from datalayer.engine.fields import Count, Name, Positive, ReferenceKey, Text, Timestamp
from datalayer.engine.indexes import Index, TableSettings
from datalayer.ids import ChangeMark, GamificationRuleId, LevelId, PointsEntryId, UserId


class PointsEntry(Document):
    """Points that a user was awarded for an action. The reference names the cause."""

    id: PointsEntryId = new_id()
    user_id: UserId
    action: Name
    amount: Count
    reference_type: Name | None = None
    reference_id: ReferenceKey | None = None
    created_at: Timestamp

    class Settings(TableSettings):
        """The collection."""

        name = "points"
        written_by = "community.points: award, revoke, delete"
        shard_key = ("userId",)
        indexes: ClassVar[Sequence[Index]] = (
            Index("by_userId", "userId"),
            Index("by_userId_and_createdAt", "userId", "createdAt"),
            Index(
                "by_createdAt_and_userId_and_amount",
                *("createdAt", "userId", "amount"),
                why="the leaderboards of the week and month, summed without reading documents",
            ),
            Index(
                "by_userId_and_action_and_reference",
                *("userId", "action", "referenceType", "referenceId"),
                unique=True,
                where={"referenceId": {"$exists": True}},
                why="each cause is rewarded at most once",
            ),
        )


class GamificationRule(Document):
    """The number of points that an action is worth."""

    id: GamificationRuleId = new_id()
    action: Name
    point_value: Count

    class Settings(TableSettings):
        """The collection."""

        name = "gamificationConfig"
        written_by = "community.gamification_config: set, install_defaults"
        indexes: ClassVar[Sequence[Index]] = (Index("by_action", "action", unique=True),)


class Level(Document):
    """A level that users reach with `threshold` points. `order` counts from 1.

    `users_pending` marks a change of the levels that not every user has followed yet.
    """

    id: LevelId = new_id()
    name: Annotated[str, Text(1, 50)]
    threshold: Count
    order: Positive
    color: Name | None = None
    users_pending: ChangeMark | None = None

    class Settings(TableSettings):
        """The collection."""

        name = "levels"
        written_by = "community.levels: replace, install_defaults"
        indexes: ClassVar[Sequence[Index]] = (
            Index("by_order", "order", unique=True),
            Index("by_threshold", "threshold", unique=True),
        )
