"""Reports to the moderators."""

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal, TypeAlias

from datalayer.engine.document import Document, new_id
from datalayer.engine.fields import Text, Timestamp
from datalayer.engine.indexes import Index, TableSettings
from datalayer.ids import CommentId, PostId, ReportId, UserId

ReportTarget: TypeAlias = Literal["post", "comment", "user"]
ReportStatus: TypeAlias = Literal["pending", "resolved", "dismissed"]
Resolution: TypeAlias = Literal["resolved", "dismissed"]


class Report(Document):
    """A user's report of a post, comment or user. `target_id` is the id of that document."""

    id: ReportId = new_id()
    reporter_id: UserId
    target_type: ReportTarget
    target_id: PostId | CommentId | UserId
    reason: Annotated[str, Text(1, 2_000)]
    status: ReportStatus
    created_at: Timestamp
    resolved_at: Timestamp | None = None
    resolved_by: UserId | None = None

    class Settings(TableSettings):
        """The collection."""

        name = "reports"
        written_by = "community.reports: file, resolve"
        indexes: ClassVar[Sequence[Index]] = (
            Index("by_status", "status"),
            Index("by_targetType_and_targetId", "targetType", "targetId"),
            Index(
                "by_reporterId_and_targetType_and_targetId",
                *("reporterId", "targetType", "targetId"),
                unique=True,
                where={"status": "pending"},
                why="at most one pending report per reporter and target",
            ),
        )
