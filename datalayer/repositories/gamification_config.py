"""How many points each action is worth."""

from pymongo import ReturnDocument, UpdateOne

from datalayer.documents.points import GamificationRule
from datalayer.engine.fields import Count, Name
from datalayer.engine.ids import new_object_id
from datalayer.engine.repository import Repository
from datalayer.ids import GamificationRuleId

DEFAULT_VALUES = {
    "post": 10,
    "comment": 5,
    "like_received": 2,
    "lesson_complete": 15,
    "course_complete": 50,
    "rsvp": 5,
    "enroll": 5,
}
"""The points of the default rules, by action."""


class GamificationConfig(Repository[GamificationRule, GamificationRuleId]):
    """The rules of the points: one for each action."""

    document = GamificationRule

    async def value_of(self, action: Name) -> int:
        """Return the points that the action is worth, 0 if it has no rule.

        Cost: 1 round trip; index by_action.
        """
        rule = await self._one({"action": action})
        return 0 if rule is None else rule.point_value

    async def install_defaults(self) -> dict[str, int]:
        """Add the default rules for actions without a rule, and return the points of every action. Idempotent.

        Existing rules are kept.

        Cost: one transaction, 3 round trips; index by_action.
        """

        async def work() -> dict[str, int]:
            rules = [self.document(action=action, point_value=value) for action, value in DEFAULT_VALUES.items()]
            await self._collection.bulk_write(
                [UpdateOne({"action": rule.action}, {"$setOnInsert": rule.to_wire()}, upsert=True) for rule in rules]
            )
            return await self._values()

        return await self._connection.transaction(work)

    async def _values(self) -> dict[str, int]:
        return {rule.action: rule.point_value for rule in await self._all({}, sort={"action": 1})}

    # Last, because after these definitions the names `set` and `all` in this class mean these methods.
    async def all(self) -> dict[str, int]:
        """Return the points of every action that has a rule, by action.

        Cost: 1 round trip; index by_action.
        """
        return await self._values()

    async def set(self, action: Name, point_value: Count) -> GamificationRule:
        """Set the points that the action is worth.

        Cost: 1 round trip; index by_action.
        """
        wire = await self._collection.find_one_and_update(
            {"action": action},
            {"$set": {"pointValue": point_value}, "$setOnInsert": {"_id": new_object_id()}},
            upsert=True,
            return_document=ReturnDocument.AFTER,
        )
        return self.document.from_wire(wire or {})
