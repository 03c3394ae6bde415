"""What people reported to the moderators."""

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
        reports: How many there are.
        reasons: What they say, the oldest first; of many the first 20.
        first_reported_at: When the oldest was filed.
    """

    target_type: ReportTarget
    target_id: PostId | CommentId | UserId
    reports: int
    reasons: list[str]
    first_reported_at: int


class Reports(Repository[Report, ReportId]):
    """The reports, and the moderators' queue."""

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
        """Report a target. 3 round trips; by_reporterId_and_targetType_and_targetId lets only one be pending.

        With `notify` a transaction of 7 or 8 round trips, by_role and by_userId_and_type_and_gatherKey.

        Args:
            reporter_id: Who reports it.
            target_type: What it is.
            target_id: Which one.
            reason: Why.
            notify: Tell the moderators and admins but the reporter, in a notification `report` that gathers the reports
                of the target.

        Raises:
            AlreadyExistsError: The reporter has a pending report of this target.
            NotFoundError: There is no such reporter or target.
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
        # The reports of a target count up in the same notifications.
        return await self._connection.transaction(work, writes=[(Report.Settings.name, target_id)])

    async def _file(self, report: Report) -> Report:
        """Insert the report of somebody who exists."""
        await self._require(TARGETS[report.target_type], report.target_id)
        return await self._insert(report)

    async def queue(self, *, limit: Limit = 20, after: Cursor | None = None) -> Page[ModerationCase]:
        """The targets with pending reports: most reported first, then the longest waiting. One round trip, by_status.

        Groups and sorts all pending reports for each page: its cost grows with them, not with the settled ones.
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
        """The reports of a target, settled ones too, newest first. One round trip, by_targetType_and_targetId."""
        filter = {"targetType": target_type, "targetId": target_id}
        return await self._page(filter, "by_targetType_and_targetId", limit, after)

    async def pending_count(self) -> int:
        """How many reports are pending. One round trip, counted in by_status."""
        return await self._collection.count_documents({"status": PENDING}, hint="by_status")

    async def resolve(
        self,
        target_type: ReportTarget,
        target_id: PostId | CommentId | UserId,
        *,
        resolver_id: UserId,
        status: Resolution = "resolved",
    ) -> int:
        """Settle all pending reports of the target, and say how many there were.

        3 round trips: `_id`, and a transaction that uses by_targetType_and_targetId.

        Raises:
            NotFoundError: There is no such resolver.
        """
        await self._require(User, resolver_id)
        pending = {"targetType": target_type, "targetId": target_id, "status": PENDING}
        # Nothing is settled before it was filed, whatever the clocks say.
        resolved_at = {"$max": [self._now(), "$createdAt"]}
        settled = [{"$set": {"status": status, "resolvedAt": resolved_at, "resolvedBy": resolver_id}}]
        return await self._update_all(pending, settled, "by_targetType_and_targetId")


_CASE: dict[str, Any] = {
    "_id": {"targetType": "$targetType", "targetId": "$targetId"},
    "reports": {"$sum": 1},
    # Not all: a thousand long ones would be more than a document may hold.
    "reasons": {"$firstN": {"input": "$reason", "n": MAX_REASONS}},
    "firstReportedAt": {"$min": "$createdAt"},
}


def _behind(reports: Any, first_reported_at: Any, target_type: Any, target_id: Any) -> dict[str, Any]:  # noqa: ANN401
    """The filter of the cases behind a position in the queue."""
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
