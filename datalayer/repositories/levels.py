"""The levels that points lead to."""

import builtins  # Python 3.14 takes a `list` in an annotation of the class for its method
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import pairwise
from typing import Annotated, Any, NotRequired

from bson import ObjectId
from pydantic import with_config
from typing_extensions import TypedDict

from datalayer.documents.points import Level
from datalayer.documents.users import User
from datalayer.engine.batches import at_once_or_in_batches
from datalayer.engine.boundary import Many
from datalayer.engine.connection import Collection
from datalayer.engine.document import Document
from datalayer.engine.fields import Count, Name, Text
from datalayer.engine.ids import new_object_id
from datalayer.engine.repository import AT_ONCE, Repository, not_found
from datalayer.errors import InvalidInputError
from datalayer.ids import LevelId

MIN_LEVELS, MAX_LEVELS = 3, 20


@with_config(extra="forbid", strict=True)
class LevelFields(TypedDict):
    """A level as `replace` takes it; its place is its `order`."""

    name: Annotated[str, Text(1, 50)]
    threshold: Count
    color: NotRequired[Name | None]


DEFAULT_LEVELS: tuple[LevelFields, ...] = (
    {"name": "Newcomer", "threshold": 0},
    {"name": "Contributor", "threshold": 50},
    {"name": "Active Member", "threshold": 150},
    {"name": "Rising Star", "threshold": 300},
    {"name": "Engaged", "threshold": 500},
    {"name": "Valued", "threshold": 800},
    {"name": "Expert", "threshold": 1_200},
    {"name": "Leader", "threshold": 1_800},
    {"name": "Champion", "threshold": 2_500},
    {"name": "Legend", "threshold": 3_500},
)


class Levels(Repository[Level, LevelId]):
    """The levels, `order` 1 to n with rising thresholds from 0. Every user's `level` follows."""

    document = Level

    async def for_points(self, points: Count) -> Level | None:
        """The highest level that these points reach; `None` where there are no levels. One round trip, by_threshold."""
        reached = {"threshold": {"$lte": points}}
        wire = await self._collection.find_one(reached, sort={"threshold": -1}, hint="by_threshold")
        return None if wire is None else self.document.from_wire(wire)

    async def replace(self, levels: Many[Level | LevelFields]) -> builtins.list[Level]:
        """Put these levels in place of all that there are; every user's level follows.

        A transaction of 5 round trips, by_order, that writes to every user. Where there are very many users, or others
        write to them all the time, it may not succeed; then the levels come first and the users follow in batches.

        Args:
            levels: 3 to 20, as dicts of `name`, `threshold` and perhaps `color`, or as `Level` documents. Their places
                are their `order`.

        Raises:
            InvalidInputError: There are too few or too many, or their thresholds do not rise from 0.
            IncompleteError: Some of the batches did not succeed: calling it again completes them.
        """
        new = _checked(self.document, list(levels))
        return await self._change(lambda _: new)

    async def install_defaults(self) -> builtins.list[Level]:
        """Put the ten default levels in place where there are none, and return all.

        A transaction of 5 round trips, by_order, as `replace`; of 2 where there are levels.

        Raises:
            IncompleteError: As `replace`.
        """
        return await self._change(lambda levels: levels or _checked(self.document, DEFAULT_LEVELS))

    async def delete(self, id: LevelId) -> None:
        """Remove the level; the others close up, and every user's level follows.

        A transaction of 5 round trips, by_order, as `replace`. Where another call has left users behind, removing a
        level that there is no more completes that.

        Raises:
            NotFoundError: There is none.
            InvalidInputError: Fewer than 3 would be left, or none from 0 on.
            IncompleteError: As `replace`.
        """

        def without(levels: list[Level]) -> list[Level]:
            left = [level for level in levels if level.id != id]
            if len(left) < len(levels):
                return _checked(self.document, left)
            if any(level.users_pending for level in levels):
                return levels
            raise not_found(Level, id)

        await self._change(without)

    async def _change(self, change: Callable[[builtins.list[Level]], builtins.list[Level]]) -> builtins.list[Level]:
        """Put what a function makes of the levels in their place, and let all users follow."""
        mark = new_object_id()

        async def replaced(pending: ObjectId | None) -> list[Level]:
            stored = await self._collection.find({}, sort={"order": 1}, batch_size=AT_ONCE).to_list()
            before = self.document.from_wires(stored)
            after = change(before)
            if after is before and not any(level.users_pending for level in before):
                return after
            after = [level.model_copy(update={"users_pending": pending}) for level in after]
            # Each of the old ones, so that two changes at once conflict; before the first, the unique indexes do it.
            await self._collection.delete_many({}, hint="by_order")
            kept = {wire["_id"]: _not_of(Level, wire) for wire in stored}
            wires = [kept.get(level.id, {}) | level.to_wire() for level in after]
            await self._collection.insert_many(wires)
            if pending is None:
                await self._of(User).update_many({}, _follow([level.threshold for level in after]), hint="_id_")
            return self.document.from_wires(wires)

        levels = await at_once_or_in_batches(
            self._connection,
            partial(replaced, None),
            partial(replaced, mark),
            [self._follow_batch, partial(self._settle, mark)],
        )
        return [level.model_copy(update={"users_pending": None}) for level in levels]

    async def _in_order(self) -> builtins.list[Level]:
        return await self._all({}, sort={"order": 1})

    async def _follow_batch(self, after: ObjectId | None, size: int) -> Sequence[ObjectId]:
        """Write to the users: an award, or another batch, that still saw older levels conflicts with that."""
        users, behind = self._of(User), {} if after is None else {"_id": {"$gt": after}}
        found = await users.find(behind, {"_id": 1}, sort={"_id": 1}, limit=size, batch_size=AT_ONCE).to_list()
        ids = [user["_id"] for user in found]
        thresholds = [level.threshold for level in await self._in_order()]
        await users.update_many({"_id": {"$in": ids}}, _follow(thresholds))
        return ids

    async def _settle(self, mark: ObjectId, _after: ObjectId | None, _size: int) -> Sequence[ObjectId]:
        """Note that all users have followed, unless the levels were changed again."""
        await self._collection.update_many({"usersPending": mark}, {"$unset": {"usersPending": ""}}, hint="by_order")
        return []

    async def list(self) -> builtins.list[Level]:
        """The levels in order. One round trip, by_order."""
        return await self._in_order()


async def level_of(levels: Collection, points: int) -> int:
    """The `order` of the level that these points reach, 1 where there are no levels. One round trip, by_threshold."""
    reached = {"threshold": {"$lte": points}}
    wire = await levels.find_one(reached, {"order": 1}, sort={"threshold": -1}, hint="by_threshold")
    return 1 if wire is None else int(wire["order"])


def _not_of(document: type[Document], wire: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that this class does not have: a product may extend it."""
    known = {field.alias or name for name, field in document.model_fields.items()}
    return {name: value for name, value in wire.items() if name not in known}


def _checked(document: type[Level], levels: Sequence[Level | LevelFields]) -> list[Level]:
    fields: list[Any] = [dict(level) if isinstance(level, Level) else level for level in levels]
    if not MIN_LEVELS <= len(fields) <= MAX_LEVELS:
        raise InvalidInputError("levels", f"must be {MIN_LEVELS} to {MAX_LEVELS}, not {len(fields)}")
    if fields[0]["threshold"] != 0:
        raise InvalidInputError("levels[0].threshold", "must be 0")
    for number, (lower, higher) in enumerate(pairwise(fields), start=1):
        if higher["threshold"] <= lower["threshold"]:
            raise InvalidInputError(f"levels[{number}].threshold", "must be above the one before")
    # A level that was there already stays the same document.
    return [document.model_validate({**level, "order": order}) for order, level in enumerate(fields, start=1)]


def _follow(thresholds: Sequence[int]) -> list[dict[str, Any]]:
    """The update that gives users their level, and changes every one of them.

    An award that reads the levels before they change, and writes the user after that, must conflict with this.
    """
    reached = {"$filter": {"input": thresholds, "cond": {"$lte": ["$$this", "$points"]}}}
    revision = {"$add": [{"$ifNull": ["$revision", 0]}, 1]}
    return [{"$set": {"level": {"$size": reached}, "revision": revision}}]
