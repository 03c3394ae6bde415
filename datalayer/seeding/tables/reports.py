"""Reports to the moderators."""

from collections.abc import Iterator
from random import Random
from typing import Any

from bson import ObjectId

from datalayer.engine.clock import DAY, HOUR
from datalayer.seeding.draws import Ids, source
from datalayer.seeding.phrases import Writer
from datalayer.seeding.tables.comments import Comments
from datalayer.seeding.tables.posts import Posts
from datalayer.seeding.tables.users import People
from datalayer.seeding.world import World

_KINDS = ("user", "comment", "comment", "post", "post", "post", "post")


class Reports:
    """One to three reports per target, by different users."""

    def __init__(self, world: World, people: People, posts: Posts, comments: Comments) -> None:
        self._world, self._people, self._posts, self._comments = world, people, posts, comments
        self._ids = Ids(world, "reports")
        self.mark = self._ids.mark
        self.count = world.reports

    def rows(self) -> Iterator[dict[str, Any]]:
        """The documents."""
        random, people = source(self._world, "reports"), self._people
        writer = Writer(random)
        used: set[ObjectId] = set()
        sequence = 0
        while sequence < self.count:
            kind, target, owner, moment = self._target(random)
            if target in used:
                continue
            used.add(target)
            together = min(1 + len(used) % 3, self.count - sequence)
            # One more than needed, because users do not report themselves.
            drawn = random.sample(range(people.there_at(moment)), together + 1)
            for reporter in [user for user in drawn if user != owner][:together]:
                created = moment + int(random.random() * self._world.between(moment, 2))
                yield {
                    "_id": self._ids.make(created, sequence),
                    "reporterId": people.ids[reporter],
                    "targetType": kind,
                    "targetId": target,
                    "reason": writer.fresh().write("reports", "reason"),
                    "createdAt": created,
                    **self._outcome(created, len(used)),
                }
                sequence += 1

    def _target(self, random: Random) -> tuple[str, ObjectId, int, int]:
        """Return the target's type and id, the number of the user it concerns, and its earliest time for a report."""
        kind = random.choice(_KINDS)
        if kind == "user":
            user = random.randrange(self._world.admins, self._world.founders)
            moment = max(self._world.start, self._world.now - random.randrange(1, 20) * DAY)
            return "user", self._people.ids[user], user, moment
        post = random.randrange(self._posts.count)
        if kind == "comment" and (remark := next(self._comments.of(post), None)) is not None:
            return "comment", remark.id, remark.author, remark.created
        return "post", self._posts.id(post), self._posts.author(post), self._posts.created(post)

    def _outcome(self, created: int, number: int) -> dict[str, Any]:
        """Return the decision; every third report is pending."""
        if number % 3 == 0:
            return {"status": "pending"}
        return {
            "status": "resolved" if number % 3 == 1 else "dismissed",
            "resolvedAt": min(self._world.now, created + 5 * HOUR),
            "resolvedBy": self._people.a_moderator(number),
        }
