"""Spaces and visits to them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from bson import ObjectId

from datalayer.engine.clock import DAY, HOUR
from datalayer.seeding.draws import Ids, source
from datalayer.seeding.phrases import phrases
from datalayer.seeding.tables.users import People
from datalayer.seeding.world import World

_PLAIN = ("name", "description", "icon")


@dataclass(frozen=True, slots=True)
class Place:
    """A space: `kind` is the kind of its posts, `weight` their share, and `row` its document."""

    id: ObjectId
    kind: str
    weight: float
    row: dict[str, Any]

    @property
    def archived(self) -> bool:
        """True if the space is deleted."""
        return "deletedAt" in self.row


class Spaces:
    """All spaces in `phrases.toml`. The last one was archived when a third of everything had happened."""

    ARCHIVED_AT = 0.33

    def __init__(self, world: World) -> None:
        ids = Ids(world, "spaces")
        self.mark = ids.mark
        self.places = [_place(world, ids, order, entry) for order, entry in enumerate(phrases("spaces"))]
        self.count = len(self.places)

    def rows(self) -> Iterator[dict[str, Any]]:
        """The documents."""
        for place in self.places:
            yield place.row


def _place(world: World, ids: Ids, order: int, entry: dict[str, Any]) -> Place:
    created = world.start - 6 * DAY + order * HOUR
    row: dict[str, Any] = {
        "_id": ids.make(created, order),
        "visibility": entry.get("visibility", "public"),
        "postPermission": entry.get("post_permission", "all"),
        "order": order,
        "createdAt": created,
    }
    row |= {name: entry[name] for name in _PLAIN}
    if "required_tier" in entry:
        row["requiredTier"] = entry["required_tier"]
    if entry.get("archived"):
        row["deletedAt"] = world.at(Spaces.ARCHIVED_AT)
    return Place(row["_id"], entry["kind"], entry.get("weight", 0), row)


class Visits:
    """Every user has visited one to four spaces."""

    def __init__(self, world: World, people: People, spaces: Spaces) -> None:
        self._world, self._people = world, people
        self._places = [place for place in spaces.places if not place.archived]
        self._ids = Ids(world, "spaceVisits")
        self.mark = self._ids.mark
        self.count = sum(self._of(number) for number in range(people.count))

    def _of(self, number: int) -> int:
        return min(1 + number % 4, len(self._places))

    def rows(self) -> Iterator[dict[str, Any]]:
        """The documents."""
        world, random = self._world, source(self._world, "visits")
        sequence = 0
        for number, user in enumerate(self._people.ids):
            came = self._people.created[number]
            for step in range(self._of(number)):
                # Most users visit often, so the last visit is recent.
                last = world.now - int((world.now - came) * random.random() ** 3)
                yield {
                    "_id": self._ids.make(came + step, sequence),
                    "userId": user,
                    "spaceId": self._places[(number + step * 5) % len(self._places)].id,
                    "lastVisitedAt": last,
                }
                sequence += 1
