"""The levels that users reach with points."""

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
from datalayer.engine.boundary import AnyCollection
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
    """A level as `replace` takes it. Its position becomes its `order`."""

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
    """The levels: `order` 1 to n, with thresholds rising from 0. Every user's `level` is kept up to date."""

    document = Level

    async def for_points(self, points: Count) -> Level | None:
        """Return the highest level that these points reach, or `None` if there are no levels.

        Cost: 1 round trip; index by_threshold.
        """
        reached = {"threshold": {"$lte": points}}
        wire = await self._collection.find_one(reached, sort={"threshold": -1}, hint="by_threshold")
        return None if wire is None else self.document.from_wire(wire)

    async def replace(self, levels: AnyCollection[Level | LevelFields]) -> builtins.list[Level]:
        """Replace all levels, and update every user's `level`.

        The transaction writes to every user. With very many users, or while others keep writing to them, the levels are
        replaced first and the users follow in batches.

        Args:
            levels: 3 to 20 levels in order, as dicts with `name`, `threshold` and optionally `color`, or as `Level`
                documents. Their positions become their `order`.

        Raises:
            InvalidInputError: There are fewer than 3 or more than 20 levels, or their thresholds do not rise from 0.
            IncompleteError: Some batches failed. Call the method again to finish.

        Cost: one transaction, 5 round trips; index by_order; it writes to every user.
        """
        new = _checked(self.document, list(levels))
        return await self._change(lambda _: new)

    async def install_defaults(self) -> builtins.list[Level]:
        """Add the ten default levels if there are none, and return all levels. Idempotent.

        Raises:
            IncompleteError: Some batches failed. Call the method again to finish.

        Cost: one transaction, 5 round trips (writes to every user, like `replace`), 2 if there are levels; index
        by_order.
        """
        return await self._change(lambda levels: levels or _checked(self.document, DEFAULT_LEVELS))

    async def delete(self, id: LevelId) -> None:
        """Delete the level, and update every user's `level`. Higher levels move down in `order`.

        If an interrupted call has left users without their new level, deleting a level that no longer exists finishes
        that change.

        Raises:
            NotFoundError: The level does not exist.
            InvalidInputError: Fewer than 3 levels would remain, or none with threshold 0.
            IncompleteError: Some batches failed. Call the method again to finish.

        Cost: one transaction, 5 round trips; index by_order; it writes to every user, like `replace`.
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
        """Replace the levels with the result of the function, and update all users."""
        mark = new_object_id()

        async def replaced(pending: ObjectId | None) -> list[Level]:
            stored = await self._collection.find({}, sort={"order": 1}, batch_size=AT_ONCE).to_list()
            before = self.document.from_wires(stored)
            after = change(before)
            if after is before and not any(level.users_pending for level in before):
                return after
            after = [level.model_copy(update={"users_pending": pending}) for level in after]
            # Delete each old level, so that concurrent changes conflict. If there are none, the unique indexes do this.
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
        """Update a batch of users.

        The writes conflict with an award, or another batch, that has read older levels.
        """
        users, behind = self._of(User), {} if after is None else {"_id": {"$gt": after}}
        found = await users.find(behind, {"_id": 1}, sort={"_id": 1}, limit=size, batch_size=AT_ONCE).to_list()
        ids = [user["_id"] for user in found]
        thresholds = [level.threshold for level in await self._in_order()]
        await users.update_many({"_id": {"$in": ids}}, _follow(thresholds))
        return ids

    async def _settle(self, mark: ObjectId, _after: ObjectId | None, _size: int) -> Sequence[ObjectId]:
        """Record that all users are updated, unless the levels have changed again."""
        await self._collection.update_many({"usersPending": mark}, {"$unset": {"usersPending": ""}}, hint="by_order")
        return []

    async def list(self) -> builtins.list[Level]:
        """Return the levels in order.

        Cost: 1 round trip; index by_order.
        """
        return await self._in_order()


async def level_of(levels: Collection, points: int) -> int:
    """Return the `order` of the level that these points reach, 1 if there are no levels.

    Cost: 1 round trip; index by_threshold.
    """
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
        raise InvalidInputError("levels", f"must have {MIN_LEVELS} to {MAX_LEVELS} levels, not {len(fields)}")
    if fields[0]["threshold"] != 0:
        raise InvalidInputError("levels[0].threshold", "must be 0")
    for number, (lower, higher) in enumerate(pairwise(fields), start=1):
        if higher["threshold"] <= lower["threshold"]:
            raise InvalidInputError(f"levels[{number}].threshold", "must be greater than the previous threshold")
    # A level that exists already keeps its document and id.
    return [document.model_validate({**level, "order": order}) for order, level in enumerate(fields, start=1)]


def _follow(thresholds: Sequence[int]) -> list[dict[str, Any]]:
    """Return the update that sets the level of users and writes to every one of them.

    An award that reads the levels before they change, and writes to the user afterwards, must conflict with it.
    """
    reached = {"$filter": {"input": thresholds, "cond": {"$lte": ["$$this", "$points"]}}}
    revision = {"$add": [{"$ifNull": ["$revision", 0]}, 1]}
    return [{"$set": {"level": {"$size": reached}, "revision": revision}}]
