"""Points, and who has the most."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeAlias

from datalayer.documents.points import GamificationRule, PointsEntry
from datalayer.documents.points import Level as LevelDocument
from datalayer.documents.users import User
from datalayer.engine.boundary import Cursor, Limit
from datalayer.engine.clock import DAY
from datalayer.engine.fields import Integer, Key, Name
from datalayer.engine.pages import Page
from datalayer.engine.repository import AT_ONCE, Repository, not_found
from datalayer.errors import InvalidInputError
from datalayer.ids import PointsEntryId, UserId
from datalayer.repositories.levels import level_of

Period: TypeAlias = Literal["all", "month", "week"]

_DAYS: dict[Period, int] = {"month": 30, "week": 7}


@dataclass(frozen=True, slots=True)
class Award:
    """What a user was given, and has now."""

    amount: int
    points: int
    level: int
    levelled_up: bool


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
    """The entries. The user's `points` and `level` follow in the same transaction."""

    document = PointsEntry

    async def award(
        self,
        user_id: UserId,
        action: Name,
        *,
        reference_type: Name | None = None,
        reference_id: Key | None = None,
    ) -> Award | None:
        """Give the user what the action is worth.

        A transaction of 5 round trips, of 6 with a reference or a new level, of 7 with both.

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

        async def work() -> Award | None:
            rule = await self._of(GamificationRule).find_one({"action": action}, {"pointValue": 1})
            amount = 0 if rule is None else int(rule["pointValue"])
            cause = {"userId": user_id, "action": action, "referenceType": reference_type, "referenceId": reference_id}
            if amount == 0 or (reference_id is not None and await self._one(cause, hint=_CAUSE_INDEX)):
                return None
            award = await self._add(user_id, amount)
            await self._insert(
                PointsEntry(
                    user_id=user_id,
                    action=action,
                    amount=amount,
                    reference_type=reference_type,
                    reference_id=reference_id,
                    created_at=self._now(),
                )
            )
            return award

        return await self._connection.transaction(work)

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
            users = User.from_wires(wires)
            return _ranked([(user, user.points) for user in users])
        order = {"$sort": {"points": -1, "_id": 1}}
        cursor = await self._collection.aggregate(
            [*self._sums(period), order, {"$limit": limit}], batchSize=AT_ONCE, hint=_WINDOW_INDEX
        )
        sums = {group["_id"]: int(group["points"]) for group in await cursor.to_list()}
        wires = await self._of(User).find({"_id": {"$in": list(sums)}}, batch_size=AT_ONCE).to_list()
        found = {wire["_id"]: User.from_wire(wire) for wire in wires}
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
        user = User.from_wire(wire)
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

    async def _add(self, user_id: UserId, amount: int) -> Award:
        """Change the user's points, and the level with them. 2 round trips, 3 with a new level."""
        users = self._of(User)
        before = await users.find_one_and_update(
            {"_id": user_id}, {"$inc": {"points": amount}}, {"points": 1, "level": 1}
        )
        if before is None:
            raise not_found(User, user_id)
        points, old = int(before["points"]) + amount, int(before["level"])
        level = await level_of(self._of(LevelDocument), points)
        if level != old:
            await users.update_one({"_id": user_id}, {"$set": {"level": level}})
        return Award(amount, points, level, levelled_up=level > old)

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
_CAUSE_INDEX = "by_userId_and_action_and_reference"


def _ranked(places: list[tuple[User, int]]) -> list[LeaderboardEntry]:
    entries: list[LeaderboardEntry] = []
    for place, (user, points) in enumerate(places, start=1):
        tied = bool(entries) and entries[-1].points == points
        entries.append(LeaderboardEntry(entries[-1].rank if tied else place, user, points))
    return entries
