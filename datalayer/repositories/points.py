"""Points, and who has the most."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeAlias

from datalayer.documents.points import Level as LevelDocument
from datalayer.documents.points import PointsEntry
from datalayer.documents.users import User
from datalayer.engine.boundary import Cursor, Limit
from datalayer.engine.clock import DAY
from datalayer.engine.connection import Connection
from datalayer.engine.fields import Integer, Key, Name
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
        rank: From 1; who has as many points has the same, and the next one skips (1, 2, 2, 4).
        points: Those of the period.
    """

    rank: int
    user: User
    points: int


class Points(Repository[PointsEntry, PointsEntryId]):
    """The entries. The user's `points` and `level` follow in the same transaction.

    Concurrent awards and revocations for one user in one process share transactions. Inside `transaction` they belong
    to the transaction that is open.
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
        reference_id: Key | None = None,
    ) -> Award | None:
        """Give the user what the action is worth.

        A transaction of 4 round trips, of 5 with a reference, shared with concurrent awards to the user.

        With a reference it happens once for each user, action and reference, whoever asks at once. The reference of a
        like is `like` and `<targetType>:<targetId>:<userId of the one who likes>`. Served by by_action, by_threshold
        and by_userId_and_action_and_reference.

        Returns:
            `None` where the action gives nothing, or this cause was rewarded before.

        Raises:
            NotFoundError: There is no such user.
            InvalidInputError: Only one half of the reference is given.
        """
        if (reference_type is None) != (reference_id is None):
            raise InvalidInputError("reference_id" if reference_id is None else "reference_type", "is missing")
        cause = Cause(user_id, action, reference_type, reference_id)
        return await self._groups.submit(user_id, ("award", cause))

    async def revoke(self, user_id: UserId, action: Name, *, reference_type: Name, reference_id: Key) -> bool:
        """Take back what the user was given for this cause; the points and the level follow. Idempotent.

        The cause can be rewarded again afterwards. A transaction of 5 round trips, of 3 where there is nothing to take
        back, shared with concurrent awards to the user. Served by by_userId_and_action_and_reference and by_threshold.

        Returns:
            Whether the cause had been rewarded.
        """
        cause = Cause(user_id, action, reference_type, reference_id)
        return await self._groups.submit(user_id, ("revoke", cause)) is not None

    async def delete(self, id: PointsEntryId) -> None:
        """Take the points of the entry back. A transaction of 4 round trips, by_threshold; of 5 with another level.

        Raises:
            NotFoundError: There is none.
        """

        async def work() -> None:
            entry = await self._collection.find_one_and_delete({"_id": id})
            if entry is None:
                raise not_found(PointsEntry, id)
            await self._add(entry["userId"], -int(entry["amount"]))

        await self._connection.transaction(work)

    async def history(self, user_id: UserId, *, limit: Limit = 20, after: Cursor | None = None) -> Page[PointsEntry]:
        """What the user was given, newest first. One round trip, by_userId_and_createdAt."""
        return await self._page({"userId": user_id}, "by_userId_and_createdAt", limit, after)

    async def breakdown(self, user_id: UserId) -> dict[str, int]:
        """The user's points by action. One round trip; reads all of the user's entries by by_userId."""
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
        """Who has the most points, of all time or of the last 30 or 7 days; equals by id.

        All time: one round trip, by_points_and_id; costs the page, however large the community is. A month or a week:
        2 round trips; sums the keys of by_createdAt_and_userId_and_amount in the window, and sorts one sum for each
        user in it. So it costs what happened in that time: keep it for a minute where many look at it.
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
        """The user's place; `None` without points in the period.

        All time: 2 round trips, counts the keys of by_points above. A month or a week: 3 round trips, sums the user's
        entries by by_userId_and_createdAt, and the window of by_createdAt_and_userId_and_amount as for `leaderboard`.

        Raises:
            NotFoundError: There is no such user.
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
        """Make the changes of one user's points. In a transaction."""
        return await change_points(self._connection, changes, self._now())

    async def _add(self, user_id: UserId, amount: int) -> None:
        """Change the user's points, and the level with them. 2 round trips, 3 with another level."""
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
