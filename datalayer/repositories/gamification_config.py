"""What an action is worth."""

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
"""What the actions give where nobody decided otherwise."""


class GamificationConfig(Repository[GamificationRule, GamificationRuleId]):
    """The rules: one for each action."""

    document = GamificationRule

    async def value_of(self, action: Name) -> int:
        """What the action gives; 0 where there is no rule. One round trip, by_action."""
        rule = await self._one({"action": action})
        return 0 if rule is None else rule.point_value

    async def install_defaults(self) -> dict[str, int]:
        """Add the default rules for actions that have none, and give all. A transaction of 3 round trips, by_action."""

        async def work() -> dict[str, int]:
            rules = [self.document(action=action, point_value=value) for action, value in DEFAULT_VALUES.items()]
            await self._collection.bulk_write(
                [UpdateOne({"action": rule.action}, {"$setOnInsert": rule.to_wire()}, upsert=True) for rule in rules]
            )
            return await self._values()

        return await self._connection.transaction(work)

    async def _values(self) -> dict[str, int]:
        return {rule.action: rule.point_value for rule in await self._all({}, sort={"action": 1})}

    # Last: behind them, `set` and `all` in this class would be these methods.
    async def all(self) -> dict[str, int]:
        """What every action gives, by action. One round trip, by_action."""
        return await self._values()

    async def set(self, action: Name, point_value: Count) -> GamificationRule:
        """Decide what the action gives. One round trip, by_action."""
        wire = await self._collection.find_one_and_update(
            {"action": action},
            {"$set": {"pointValue": point_value}, "$setOnInsert": {"_id": new_object_id()}},
            upsert=True,
            return_document=ReturnDocument.AFTER,
        )
        return self.document.from_wire(wire or {})
