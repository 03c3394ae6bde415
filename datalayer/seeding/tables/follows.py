"""Follows."""

from collections.abc import Iterator
from typing import Any

from datalayer.seeding.draws import Ids, source
from datalayer.seeding.tables.users import People
from datalayer.seeding.world import World


class Follows:
    """Every user follows some others, with a preference for the oldest accounts."""

    def __init__(self, world: World, people: People) -> None:
        self._world, self._people = world, people
        self._ids = Ids(world, "follows")
        self.mark = self._ids.mark
        self.count = sum(self._of(number) for number in range(people.count))

    def _of(self, number: int) -> int:
        most = self._world.follows_per_user * 2
        return number * 7 % most if most else 0

    def pairs(self) -> Iterator[tuple[int, int, int, int]]:
        """Return for each follow its number, the follower, the followed user, and the time."""
        people, random = self._people, source(self._world, "follows")
        sequence = 0
        for number in range(people.count):
            followed = {number}
            for _ in range(self._of(number)):
                other = number
                while other in followed:
                    other = int(people.count * random.random() ** 2)
                followed.add(other)
                met = max(people.created[number], people.created[other])
                yield sequence, number, other, met + int(random.random() * self._world.between(met, 90))
                sequence += 1

    def rows(self) -> Iterator[dict[str, Any]]:
        """The documents."""
        users = self._people.ids
        for sequence, follower, followed, moment in self.pairs():
            yield {
                "_id": self._ids.make(moment, sequence),
                "followerId": users[follower],
                "followingId": users[followed],
                "createdAt": moment,
            }
