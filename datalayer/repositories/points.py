"""Points and leaderboards."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeAlias

from datalayer.documents.points import Level as LevelDocument
from datalayer.documents.points import PointsEntry
from datalayer.documents.users import User
from datalayer.engine.boundary import Cursor, Limit
from datalayer.engine.clock import DAY
from datalayer.engine.connection import Connection
from datalayer.engine.fields import Integer, Name, ReferenceKey
from datalayer.engine.group_commit import GroupCommit
from datalayer.engine.pages import Page
from datalayer.engine.repository import AT_ONCE, Repository, not_found
from datalayer.errors import InvalidInputError
from datalayer.ids import PointsEntryId, UserId
from datalayer.repositories.levels import level_of
from datalayer.repositories.shared.awards import Award, Cause, Change, change_points

__all__ = ["Award", "LeaderboardEntry", "Period", "Points"]

Period: TypeAlias = Literal["all", "month", "week"]

_DAYS: dict[Period, int] = {"month": 30, "week": 7}


@dataclass(frozen=True, slots=True)
class LeaderboardEntry:
    """A place on a leaderboard.

    Attributes:
        rank: From 1. Users with equal points share a rank, and the next rank is skipped (1, 2, 2, 4).
        user: The user.
        points: The points of the period.
    """

    rank: int
    user: User
    points: int


class Points(Repository[PointsEntry, PointsEntryId]):
    """The points entries.

    The user's `points` and `level` are updated in the same transaction. Concurrent awards and revocations for one user
    in one process share transactions. Inside `transaction` they belong to the open transaction.
    """

    document = PointsEntry

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self._groups = GroupCommit[UserId, Change, Award | None](
            connection, self._apply, lambda user_id: [(User.Settings.name, user_id)]
        )

    async def award(
        self,
        user_id: UserId,
        action: Name,
        *,
        reference_type: Name | None = None,
        reference_id: ReferenceKey | None = None,
    ) -> Award | None:
        """Award a user the points of an action.

        With a reference, the award is idempotent: each user gets it once per action and reference, also on concurrent
        calls. The reference of a like is `like` and `<targetType>:<targetId>:<userId of the user who likes>`.

        Returns:
            The award, or `None` if the action gives no points or this cause was already rewarded.

        Raises:
            NotFoundError: The user does not exist.
            InvalidInputError: Only one of `reference_type` and `reference_id` is given; or the action is neither a
                default action nor one that has a rule.

        Cost: one transaction, 4 round trips, 5 with a reference; indexes by_action, by_threshold,
        by_userId_and_action_and_reference; concurrent awards to the user share it.
        """
        if (reference_type is None) != (reference_id is None):
            raise InvalidInputError("reference_id" if reference_id is None else "reference_type", "is missing")
        cause = Cause(user_id, action, reference_type, reference_id)
        return await self._groups.submit(user_id, ("award", cause))

    async def revoke(self, user_id: UserId, action: Name, *, reference_type: Name, reference_id: ReferenceKey) -> bool:
        """Revoke the points that the user was awarded for this cause. Idempotent.

        The user's points and level are updated. The cause can be rewarded again afterwards.

        Returns:
            `False` if the cause had not been rewarded.

        Cost: one transaction, 5 round trips, 3 if there is nothing to revoke; indexes
        by_userId_and_action_and_reference and by_threshold; concurrent awards to the user share it.
        """
        cause = Cause(user_id, action, reference_type, reference_id)
        return await self._groups.submit(user_id, ("revoke", cause)) is not None

    async def delete(self, id: PointsEntryId) -> None:
        """Delete the entry and revoke its points.

        Raises:
            NotFoundError: The entry does not exist.

        Cost: one transaction, 4 round trips, 5 if the level changes; index by_threshold.
        """

        async def work() -> None:
            entry = await self._collection.find_one_and_delete({"_id": id})
            if entry is None:
                raise not_found(PointsEntry, id)
            await self._add(entry["userId"], -int(entry["amount"]))

        await self._connection.transaction(work)

    async def history(self, user_id: UserId, *, limit: Limit = 20, after: Cursor | None = None) -> Page[PointsEntry]:
        """Return a page of the user's points entries, newest first.

        Cost: 1 round trip; index by_userId_and_createdAt.
        """
        return await self._page({"userId": user_id}, "by_userId_and_createdAt", limit, after)

    async def breakdown(self, user_id: UserId) -> dict[str, int]:
        """Return the user's points by action.

        Cost: 1 round trip; reads all entries of the user by index by_userId.
        """
        cursor = await self._collection.aggregate(
            [
                {"$match": {"userId": user_id}},
                {"$group": {"_id": "$action", "points": {"$sum": "$amount"}}},
            ],
            batchSize=AT_ONCE,
            hint="by_userId",
        )
        return {group["_id"]: int(group["points"]) for group in await cursor.to_list()}

    async def leaderboard(
        self, period: Period = "all", *, limit: Annotated[int, Integer(1, 1_000)] = 50
    ) -> list[LeaderboardEntry]:
        """Return the users with the most points, of all time or of the last 30 or 7 days. Ties are ordered by id.

        A month's or a week's leaderboard reads everything that was awarded in that time. Cache it for a minute if it is
        requested often.

        Cost: all time: 1 round trip, index by_points_and_id, independent of the size of the community. Month or week: 2
        round trips; sums the keys of index by_createdAt_and_userId_and_amount in the period, and sorts one sum per
        user.
        """
        if period == "all":
            wires = await self._of(User).find(
                {"points": {"$gt": 0}}, sort={"points": -1, "_id": 1}, limit=limit, batch_size=AT_ONCE,
                hint="by_points_and_id",
            ).to_list()  # fmt: skip
            users = self._class(User).from_wires(wires)
            return _ranked([(user, user.points) for user in users])
        order = {"$sort": {"points": -1, "_id": 1}}
        cursor = await self._collection.aggregate(
            [*self._sums(period), order, {"$limit": limit}], batchSize=AT_ONCE, hint=_WINDOW_INDEX
        )
        sums = {group["_id"]: int(group["points"]) for group in await cursor.to_list()}
        wires = await self._of(User).find({"_id": {"$in": list(sums)}}, batch_size=AT_ONCE).to_list()
        found = {user.id: user for user in self._class(User).from_wires(wires)}
        return _ranked([(found[id], points) for id, points in sums.items() if id in found])

    async def rank(self, user_id: UserId, period: Period = "all") -> LeaderboardEntry | None:
        """Return the user's place on the leaderboard, or `None` if the user has no points in the period.

        Raises:
            NotFoundError: The user does not exist.

        Cost: all time: 2 round trips; counts the keys of index by_points above the user's. Month or week: 3 round
        trips; sums the user's entries by index by_userId_and_createdAt, and the keys of
        by_createdAt_and_userId_and_amount in the period.
        """
        wire = await self._of(User).find_one({"_id": user_id})
        if wire is None:
            raise not_found(User, user_id)
        user = self._class(User).from_wire(wire)
        points = user.points if period == "all" else await self._sum_of(user_id, period)
        if points == 0:
            return None
        if period == "all":
            above = await self._of(User).count_documents({"points": {"$gt": points}}, hint="by_points")
        else:
            pipeline = [*self._sums(period), {"$match": {"points": {"$gt": points}}}, {"$count": "above"}]
            counted = await (await self._collection.aggregate(pipeline, hint=_WINDOW_INDEX)).to_list()
            above = int(counted[0]["above"]) if counted else 0
        return LeaderboardEntry(above + 1, user, points)

    async def _apply(self, _: UserId, changes: Sequence[Change]) -> Sequence[Award | Exception | None]:
        """Apply changes to one user's points. Runs in a transaction."""
        return await change_points(self._connection, changes, self._now())

    async def _add(self, user_id: UserId, amount: int) -> None:
        """Change the user's points and level. 2 round trips, 3 if the level changes."""
        users = self._of(User)
        before = await users.find_one_and_update(
            {"_id": user_id}, {"$inc": {"points": amount}}, {"points": 1, "level": 1}
        )
        if before is None:
            raise not_found(User, user_id)
        level = await level_of(self._of(LevelDocument), int(before["points"]) + amount)
        if level != int(before["level"]):
            await users.update_one({"_id": user_id}, {"$set": {"level": level}})

    async def _sum_of(self, user_id: UserId, period: Period) -> int:
        since = self._now() - _DAYS[period] * DAY
        cursor = await self._collection.aggregate(
            [
                {"$match": {"userId": user_id, "createdAt": {"$gt": since}}},
                {"$group": {"_id": None, "points": {"$sum": "$amount"}}},
            ],
            hint="by_userId_and_createdAt",
        )
        sums = await cursor.to_list()
        return int(sums[0]["points"]) if sums else 0

    def _sums(self, period: Period) -> list[dict[str, Any]]:
        since = self._now() - _DAYS[period] * DAY
        return [
            {"$match": {"createdAt": {"$gt": since}}},
            {"$group": {"_id": "$userId", "points": {"$sum": "$amount"}}},
            {"$match": {"points": {"$gt": 0}}},
        ]


_WINDOW_INDEX = "by_createdAt_and_userId_and_amount"


def _ranked(places: list[tuple[User, int]]) -> list[LeaderboardEntry]:
    entries: list[LeaderboardEntry] = []
    for place, (user, points) in enumerate(places, start=1):
        tied = bool(entries) and entries[-1].points == points
        entries.append(LeaderboardEntry(entries[-1].rank if tied else place, user, points))
    return entries
