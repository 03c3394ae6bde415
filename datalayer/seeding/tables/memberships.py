"""Memberships."""

from collections.abc import Iterator
from random import Random
from typing import Any

from datalayer.engine.clock import DAY
from datalayer.seeding.draws import Ids, happens, source
from datalayer.seeding.tables.users import People
from datalayer.seeding.world import World

_PAYING = 0.18
_TIERS = ("pro", "pro", "pro", "patron")
_STATUSES = ("active",) * 7 + ("trialing", "past_due", "canceled")


class Memberships:
    """One membership per user; some are paid."""

    def __init__(self, world: World, people: People) -> None:
        self._world, self._people = world, people
        self._ids = Ids(world, "memberships")
        self.mark = self._ids.mark
        self.count = people.count

    def rows(self) -> Iterator[dict[str, Any]]:
        """The documents."""
        random = source(self._world, "memberships")
        for number, came in enumerate(self._people.created):
            row: dict[str, Any] = {
                "_id": self._ids.make(came, number),
                "userId": self._people.ids[number],
                "createdAt": came,
            }
            if happens(random, _PAYING):
                yield row | self._paid(random, number, came)
            else:
                yield row | {"tier": "free", "status": "none", "updatedAt": came}

    def _paid(self, random: Random, number: int, came: int) -> dict[str, Any]:
        changed = came + int(random.random() * (self._world.now - came))
        status = random.choice(_STATUSES)
        ahead = -1 if status == "past_due" or (status == "canceled" and happens(random, 0.5)) else 1
        return {
            "tier": random.choice(_TIERS),
            "stripeCustomerId": f"cus_{self._ids.mark}{number:08d}",
            "stripeSubscriptionId": f"sub_{self._ids.mark}{number:08d}",
            "stripeEventAt": changed,
            "status": status,
            "currentPeriodEnd": max(changed, self._world.now + ahead * random.randrange(1, 30) * DAY),
            "updatedAt": changed,
        }
