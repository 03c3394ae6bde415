"""Reports to the moderators."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from bson import ObjectId

from datalayer.documents.comments import Comment
from datalayer.documents.posts import Post
from datalayer.documents.reports import Report, ReportTarget, Resolution
from datalayer.documents.users import User
from datalayer.engine.boundary import Cursor, Limit
from datalayer.engine.document import Document
from datalayer.engine.fields import Json, Text
from datalayer.engine.pages import Number, Page, decode_cursor
from datalayer.engine.repository import AT_ONCE, Repository, page_of
from datalayer.ids import CommentId, PostId, ReportId, UserId
from datalayer.repositories.shared.consequences import Act, Wanted, actor_of, bring_about
from datalayer.repositories.shared.telling import Notice

TARGETS: Mapping[ReportTarget, type[Document]] = {"post": Post, "comment": Comment, "user": User}

MAX_REASONS = 20

PENDING: Literal["pending"] = "pending"


@dataclass(frozen=True, slots=True)
class ModerationCase:
    """A target with its pending reports.

    Attributes:
        target_type: `post`, `comment` or `user`.
        target_id: The target's id.
        reports: The number of pending reports.
        reasons: Their reasons, oldest first, at most 20.
        first_reported_at: The time of the oldest one, in Unix milliseconds.
    """

    target_type: ReportTarget
    target_id: PostId | CommentId | UserId
    reports: int
    reasons: list[str]
    first_reported_at: int


class Reports(Repository[Report, ReportId]):
    """The reports and the moderation queue."""

    document = Report

    async def file(
        self,
        reporter_id: UserId,
        target_type: ReportTarget,
        target_id: PostId | CommentId | UserId,
        reason: Annotated[str, Text(1, 2_000)],
        *,
        notify: bool = False,
    ) -> Report:
        """Report a post, comment or user.

        Args:
            reporter_id: The user who reports it.
            target_type: `post`, `comment` or `user`.
            target_id: The post, comment or user.
            reason: The reason, 1 to 2,000 characters.
            notify: Notify the moderators and admins, except the reporter. One `report` notification gathers all reports
                of the target.

        Raises:
            AlreadyExistsError: The reporter already has a pending report of this target.
            NotFoundError: The reporter or target does not exist, or the target is deleted.

        Cost: 3 round trips; index by_reporterId_and_targetType_and_targetId, which allows one pending report each. With
        `notify` one transaction of 7 or 8 round trips; indexes by_role and by_userId_and_type_and_gatherKey.
        """
        report = self.document(
            reporter_id=reporter_id,
            target_type=target_type,
            target_id=target_id,
            reason=reason,
            status=PENDING,
            created_at=self._now(),
        )

        async def work() -> Report:
            actor = await actor_of(self._connection, reporter_id)
            filed = await self._file(report)
            moderating = {"role": {"$in": ["admin", "moderator"]}}
            found = self._of(User).find(moderating, {"_id": 1}, batch_size=AT_ONCE, hint="by_role")
            ids = {user["_id"] for user in await found.to_list()}
            data: Json = {"targetType": target_type, "targetId": target_id}
            told = [Notice(id, "report", actor, data, f"{target_type}:{target_id}") for id in ids]
            await bring_about(self._connection, [Act(Wanted(notify=True), notices=told)], known=ids)
            return filed

        if not notify:
            await self._require(User, reporter_id)
            return await self._file(report)
        # All reports of a target are counted in the same notifications.
        return await self._connection.transaction(work, writes=[(Report.Settings.name, target_id)])

    async def _file(self, report: Report) -> Report:
        """Insert the report; the reporter has been checked."""
        await self._require(TARGETS[report.target_type], report.target_id)
        return await self._insert(report)

    async def queue(self, *, limit: Limit = 20, after: Cursor | None = None) -> Page[ModerationCase]:
        """Return a page of the targets with pending reports: the most reports first, then the longest waiting.

        Cost: 1 round trip; index by_status. It groups and sorts all pending reports for each page; settled reports cost
        nothing.
        """
        query = ("reports", "queue")
        order = {"reports": -1, "firstReportedAt": 1, "_id": 1}
        pipeline: list[dict[str, Any]] = [
            {"$match": {"status": PENDING}},
            {"$sort": {"_id": 1}},
            {"$group": _CASE},
        ]
        if after is not None:
            pipeline.append({"$match": _behind(*decode_cursor(query, after, [Number, Number, str, ObjectId]))})
        pipeline += [{"$sort": order}, {"$limit": limit + 1}]
        cursor = await self._collection.aggregate(pipeline, batchSize=AT_ONCE, hint="by_status")
        wires = [{**case, **case["_id"]} for case in await cursor.to_list()]
        return page_of(wires, limit, query, ["reports", "firstReportedAt", "targetType", "targetId"], _cases)

    async def for_target(
        self,
        target_type: ReportTarget,
        target_id: PostId | CommentId | UserId,
        *,
        limit: Limit = 20,
        after: Cursor | None = None,
    ) -> Page[Report]:
        """Return a page of the reports of a target, newest first, including settled ones.

        Cost: 1 round trip; index by_targetType_and_targetId.
        """
        filter = {"targetType": target_type, "targetId": target_id}
        return await self._page(filter, "by_targetType_and_targetId", limit, after)

    async def pending_count(self) -> int:
        """Count the pending reports.

        Cost: 1 round trip, which counts the keys of index by_status.
        """
        return await self._collection.count_documents({"status": PENDING}, hint="by_status")

    async def resolve(
        self,
        target_type: ReportTarget,
        target_id: PostId | CommentId | UserId,
        *,
        resolver_id: UserId,
        status: Resolution = "resolved",
    ) -> int:
        """Settle all pending reports of the target. Idempotent.

        Args:
            target_type: `post`, `comment` or `user`.
            target_id: The post, comment or user.
            resolver_id: The moderator who settles them.
            status: `resolved` or `dismissed`.

        Returns:
            The number of reports that were pending.

        Raises:
            NotFoundError: The resolver does not exist.

        Cost: 3 round trips, the last two in a transaction; indexes `_id` and by_targetType_and_targetId.
        """
        await self._require(User, resolver_id)
        pending = {"targetType": target_type, "targetId": target_id, "status": PENDING}
        # Clocks differ: never store a `resolvedAt` before `createdAt`.
        resolved_at = {"$max": [self._now(), "$createdAt"]}
        settled = [{"$set": {"status": status, "resolvedAt": resolved_at, "resolvedBy": resolver_id}}]
        return await self._update_all(pending, settled, "by_targetType_and_targetId")


_CASE: dict[str, Any] = {
    "_id": {"targetType": "$targetType", "targetId": "$targetId"},
    "reports": {"$sum": 1},
    # Not all of them: a thousand long ones would exceed the size limit of a document.
    "reasons": {"$firstN": {"input": "$reason", "n": MAX_REASONS}},
    "firstReportedAt": {"$min": "$createdAt"},
}


def _behind(reports: Any, first_reported_at: Any, target_type: Any, target_id: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return the filter of the cases after a position in the queue."""
    as_many = {"reports": reports}
    as_old = {**as_many, "firstReportedAt": first_reported_at}
    target = {"targetType": target_type, "targetId": target_id}
    return {
        "$or": [
            {"reports": {"$lt": reports}},
            {**as_many, "firstReportedAt": {"$gt": first_reported_at}},
            {**as_old, "_id": {"$gt": target}},
        ]
    }


def _cases(wires: Sequence[Mapping[str, Any]]) -> list[ModerationCase]:
    return [
        ModerationCase(
            target_type=wire["targetType"],
            target_id=wire["targetId"],
            reports=wire["reports"],
            reasons=wire["reasons"],
            first_reported_at=int(wire["firstReportedAt"]),
        )
        for wire in wires
    ]
