"""Awarding and revoking points, for any number of users in one transaction."""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Literal, TypeAlias

from pymongo import UpdateOne

from datalayer.documents.points import GamificationRule, Level, PointsEntry
from datalayer.documents.users import User
from datalayer.engine.collection import LOCK, insert_all
from datalayer.engine.connection import Collection, Connection
from datalayer.engine.repository import AT_ONCE, not_found
from datalayer.errors import InvalidInputError
from datalayer.ids import PointsEntryId, UserId
from datalayer.repositories.gamification_config import DEFAULT_VALUES

CAUSE_INDEX = "by_userId_and_action_and_reference"


@dataclass(frozen=True, slots=True)
class Award:
    """The points that a user was awarded, and the user's new totals.

    Attributes:
        amount: The points of this award.
        points: The user's points.
        level: The user's level.
        levelled_up: `True` if the award led to a higher level.
    """

    amount: int
    points: int
    level: int
    levelled_up: bool


@dataclass(frozen=True, slots=True)
class Cause:
    """What a user is awarded points for. A cause without a reference counts every time."""

    user_id: UserId
    action: str
    reference_type: str | None = None
    reference_id: str | None = None

    @classmethod
    def of(cls, entry: Mapping[str, Any]) -> "Cause":
        """Return the cause of a points entry, as MongoDB stores it."""
        return cls(entry["userId"], entry["action"], entry.get("referenceType"), entry.get("referenceId"))


Change: TypeAlias = tuple[Literal["award", "revoke"], Cause]


async def change_points(
    connection: Connection, changes: Sequence[Change], now: int
) -> Sequence[Award | Exception | None]:
    """Apply awards and revocations in order, and write the result. Runs in a transaction.

    At most 5 round trips for any number of changes and users: the users with the rules and levels, the causes that were
    already rewarded, the users' points, and the entries to delete and to insert. 3 if no cause has a reference.

    Returns:
        For each change the award, `None` if it had no effect, or the error if it was refused.
    """
    accounts = await _accounts(connection, changes, now)
    answers = [accounts.change(*change) for change in changes]
    # The users first: these writes conflict with concurrent changes of their points.
    await _update_users(connection.collection(User), accounts.updates())
    entries = connection.collection(PointsEntry)
    # Delete before inserting: a revoked cause can be rewarded again in the same call.
    if accounts.removed:
        of_users = {"_id": {"$in": list(accounts.removed)}, "userId": {"$in": list(set(accounts.removed.values()))}}
        await entries.delete_many(of_users, hint="_id_")
    if accounts.added:
        await insert_all(entries, [entry.to_wire() for entry in accounts.added.values()])
    return answers


@dataclass(slots=True)
class _Account:
    """A user's points and level."""

    points: int
    level: int


@dataclass(frozen=True, slots=True)
class _Entry:
    """The points entry of a cause."""

    id: PointsEntryId
    amount: int


class _Accounts:
    """The users' accounts while changes are applied."""

    def __init__(self, users: Sequence[dict[str, Any]], now: int) -> None:
        self._now = now
        self._before = {user["_id"]: _Account(int(user["points"]), int(user["level"])) for user in users}
        self._after = {id: _Account(account.points, account.level) for id, account in self._before.items()}
        # Each user carries the same rules and levels.
        common: dict[str, Any] = users[0] if users else {"levels": []}
        self._values: dict[str, int] = {rule["action"]: int(rule["pointValue"]) for rule in common.get("rules", [])}
        self._levels = [(int(level["threshold"]), int(level["order"])) for level in common["levels"]]
        self._rewarded: dict[Cause, _Entry] = {}
        self.added: dict[PointsEntryId, PointsEntry] = {}
        self.removed: dict[PointsEntryId, UserId] = {}

    def load(self, entries: Iterable[Mapping[str, Any]]) -> None:
        """Add the entries of earlier awards."""
        for entry in entries:
            self._rewarded[Cause.of(entry)] = _Entry(entry["_id"], int(entry["amount"]))

    def depends_on_entries(self, verb: str, cause: Cause) -> bool:
        """Return whether earlier awards decide about the change."""
        if cause.reference_id is None or cause.user_id not in self._before:
            return False
        return verb == "revoke" or bool(self._values.get(cause.action))

    def change(self, verb: str, cause: Cause) -> Award | Exception | None:
        """Apply a change. See `change_points` for the result."""
        if verb == "revoke":
            return self._revoke(cause)
        if cause.user_id not in self._after:
            return not_found(User, cause.user_id)
        amount = self._values.get(cause.action)
        if amount is None and cause.action not in DEFAULT_VALUES:
            return _unknown_action()
        if not amount or cause in self._rewarded:
            return None
        entry = PointsEntry(
            user_id=cause.user_id,
            action=cause.action,
            amount=amount,
            reference_type=cause.reference_type,
            reference_id=cause.reference_id,
            created_at=self._now,
        )
        self.added[entry.id] = entry
        if cause.reference_id is not None:
            self._rewarded[cause] = _Entry(entry.id, amount)
        return self._add(cause.user_id, amount)

    def updates(self) -> dict[UserId, Mapping[str, Any]]:
        """Return the updates of the users whose entries have changed."""
        ids = {entry.user_id for entry in self.added.values()} | set(self.removed.values())
        return {id: _update(self._before[id], self._after[id]) for id in sorted(ids)}

    def _revoke(self, cause: Cause) -> Award | None:
        entry = self._rewarded.pop(cause, None)
        if entry is None:
            return None
        if self.added.pop(entry.id, None) is None:
            self.removed[entry.id] = cause.user_id
        return self._add(cause.user_id, -entry.amount)

    def _add(self, user_id: UserId, amount: int) -> Award:
        account = self._after[user_id]
        level = self._level_of(account.points + amount)
        is_higher = level > account.level
        account.points, account.level = account.points + amount, level
        return Award(amount, account.points, level, levelled_up=is_higher)

    def _level_of(self, points: int) -> int:
        reached = bisect_right(self._levels, points, key=itemgetter(0))
        return self._levels[reached - 1][1] if reached else 1


def _unknown_action() -> InvalidInputError:
    """The error for an action that may be misspelt: it has no rule, and is none of the default actions."""
    return InvalidInputError(
        "action",
        f"must be {', '.join(DEFAULT_VALUES)}, or an action that has a rule",
        hint="To add an action of your own, give it a rule with gamification_config.set.",
    )


def _update(before: _Account, after: _Account) -> Mapping[str, Any]:
    level = {} if after.level == before.level else {"$set": {"level": after.level}}
    # Always a write, so that it conflicts with a concurrent deletion of the user.
    return {**({"$inc": {"points": after.points - before.points}} if after.points != before.points else LOCK), **level}


async def _update_users(users: Collection, updates: Mapping[UserId, Mapping[str, Any]]) -> None:
    if len(updates) == 1:
        for id, update in updates.items():
            await users.update_one({"_id": id}, update)
    elif updates:
        await users.bulk_write([UpdateOne({"_id": id}, update) for id, update in updates.items()])


async def _accounts(connection: Connection, changes: Sequence[Change], now: int) -> _Accounts:
    """Return the accounts of the users in the changes, with the earlier awards for their causes."""
    users = connection.collection(User)
    actions = list({cause.action for verb, cause in changes if verb == "award"})
    # Uncorrelated: they use nothing from the user, so the server runs them once.
    rules = {
        "from": GamificationRule.Settings.name,
        "pipeline": [{"$match": {"action": {"$in": actions}}}, {"$project": {"action": 1, "pointValue": 1}}],
        "as": "rules",
    }
    levels = {
        "from": Level.Settings.name,
        "pipeline": [{"$sort": {"threshold": 1}}, {"$project": {"threshold": 1, "order": 1}}],
        "as": "levels",
    }
    pipeline: list[dict[str, Any]] = [
        {"$match": {"_id": {"$in": list({cause.user_id for _, cause in changes})}}},
        {"$project": {"points": 1, "level": 1}},
        *([{"$lookup": rules}] if actions else []),
        {"$lookup": levels},
    ]
    found = await (await users.aggregate(pipeline, batchSize=AT_ONCE)).to_list()
    accounts = _Accounts(found, now)
    if causes := [cause for verb, cause in changes if accounts.depends_on_entries(verb, cause)]:
        accounts.load(await _entries(connection, causes))
    return accounts


async def _entries(connection: Connection, causes: Iterable[Cause]) -> Sequence[Mapping[str, Any]]:
    """Return the entries of the causes; entries of other causes may be included."""
    fields = ("userId", "action", "referenceType", "referenceId")
    values = zip(*((c.user_id, c.action, c.reference_type, c.reference_id) for c in causes), strict=True)
    among = {field: {"$in": list(set(given))} for field, given in zip(fields, values, strict=True)}
    projection = dict.fromkeys((*fields, "amount"), 1)
    found = connection.collection(PointsEntry).find(among, projection, batch_size=AT_ONCE, hint=CAUSE_INDEX)
    return await found.to_list()
