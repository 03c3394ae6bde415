"""Users."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import Any

from bson import ObjectId

from datalayer.engine.clock import DAY
from datalayer.seeding.draws import Ids, happens, source
from datalayer.seeding.phrases import Writer, phrases
from datalayer.seeding.world import BEFORE_START, World

MEMBER = "Member"
"""The name of a user without a name in copies."""

_PREFERENCES = ("Comments", "Replies", "Followers", "Events", "Courses", "DMs")
_DIGESTS = ("immediate", "daily", "weekly", "off")


class People:
    """The users by number, in the order in which they joined. Number 0 is an admin."""

    def __init__(self, world: World) -> None:
        random = source(world, "people")
        first, last = phrases("people", "first"), phrases("people", "last")
        ids = Ids(world, "users")
        self.world = world
        self.count = world.users
        self.mark = ids.mark
        self.created = [_came(world, number) for number in range(world.users)]
        self.ids = [ids.make(moment, number) for number, moment in enumerate(self.created)]
        self._names: list[str | None] = [
            f"{random.choice(first)} {random.choice(last)}" if number < world.admins or happens(random, 0.97) else None
            for number in range(world.users)
        ]
        self.names = [name or MEMBER for name in self._names]
        self.avatars = [
            f"avatars/{random.getrandbits(64):016x}.webp" if happens(random, 0.6) else None for _ in range(world.users)
        ]

    def joined(self, part: float) -> int:
        """Return how many users had joined when this share of everything had happened."""
        founders = self.world.founders
        return founders + int(part * (self.count - founders))

    def there_at(self, moment: int) -> int:
        """Return how many users had joined by this time."""
        return bisect_right(self.created, moment)

    def author(self, number: int) -> dict[str, Any]:
        """Return the copies of the user's profile in posts and comments."""
        avatar = self.avatars[number]
        copies: dict[str, Any] = {"authorId": self.ids[number], "authorName": self.names[number]}
        return copies if avatar is None else {**copies, "authorAvatar": avatar}

    def rows(self, points: Sequence[int], levels: Sequence[int]) -> Iterator[dict[str, Any]]:
        """Return the documents, with the given points and levels by number."""
        world = self.world
        random = source(world, "profiles")
        writer = Writer(random)
        for number, created in enumerate(self.created):
            row: dict[str, Any] = {
                "_id": self.ids[number],
                "authUserId": f"auth|{self.ids[number]}",
                "visibility": "private" if happens(random, 0.12) else "public",
                "role": self.role(number),
                "points": points[number],
                "level": levels[number],
                "createdAt": created,
                "updatedAt": created + int(random.random() * world.between(created, 60)),
            }
            if (name := self._names[number]) is not None:
                row["name"] = name
            if (avatar := self.avatars[number]) is not None:
                row["avatarStorageId"] = avatar
            if happens(random, 0.55):
                row["bio"] = writer.fresh().write("people", "bio")
            if happens(random, 0.4):
                wanted = {f"email{what}": happens(random, 0.7) for what in _PREFERENCES}
                row["notificationPrefs"] = wanted | {"digestFrequency": random.choice(_DIGESTS)}
            yield row

    def role(self, number: int) -> str:
        """Return the role: the first users are admins, the next ones moderators."""
        if number < self.world.admins:
            return "admin"
        return "moderator" if number < self.world.admins + self.world.moderators else "member"

    def a_moderator(self, draw: int) -> ObjectId:
        """Return one of the admins and moderators."""
        return self.ids[draw % (self.world.admins + self.world.moderators)]


def _came(world: World, number: int) -> int:
    """Return the join time: founders in the week before the opening, the others as the community grows."""
    if number < world.founders:
        return world.start - BEFORE_START + 6 * DAY * number // world.founders
    return world.at((number - world.founders + 0.5) / (world.users - world.founders))
