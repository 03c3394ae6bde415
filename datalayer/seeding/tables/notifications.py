"""Notifications."""

from collections.abc import Iterator
from functools import cached_property
from typing import Any, NamedTuple

from bson import ObjectId

from datalayer.engine.clock import DAY
from datalayer.seeding.draws import Ids
from datalayer.seeding.tables.comments import Comments
from datalayer.seeding.tables.follows import Follows
from datalayer.seeding.tables.posts import Posts
from datalayer.seeding.tables.users import People
from datalayer.seeding.world import World

_FOLLOWS_EVERY = 4


class Notice(NamedTuple):
    """A notification of one user about an act of another."""

    user: int
    type: str
    actor: int
    data: dict[str, ObjectId]
    moment: int


class Notifications:
    """Notifications about the comments on the newest posts, and about some of the follows."""

    def __init__(self, world: World, people: People, posts: Posts, comments: Comments, follows: Follows) -> None:
        self._world, self._people, self._posts, self._comments = world, people, posts, comments
        self._follows = follows
        self._ids = Ids(world, "notifications")
        self.mark = self._ids.mark

    @cached_property
    def count(self) -> int:
        """The number of notifications."""
        return sum(1 for _ in self._notices())

    def _notices(self) -> Iterator[Notice]:
        for post in range(self._posts.count - self._world.rewarded_posts, self._posts.count):
            target = self._posts.id(post)
            authors: dict[ObjectId | None, int] = {None: self._posts.author(post)}
            for remark in self._comments.of(post):
                authors[remark.id] = remark.author
                told = authors[remark.parent]
                if told != remark.author:
                    kind = "comment" if remark.parent is None else "reply"
                    data = {"postId": target, "commentId": remark.id}
                    yield Notice(told, kind, remark.author, data, remark.created)
        for sequence, follower, followed, moment in self._follows.pairs():
            if sequence % _FOLLOWS_EVERY == 0:
                yield Notice(followed, "follow", follower, {}, moment)

    def rows(self) -> Iterator[dict[str, Any]]:
        """The documents."""
        people = self._people
        for sequence, notice in enumerate(self._notices()):
            row = {
                "_id": self._ids.make(notice.moment, sequence),
                "userId": people.ids[notice.user],
                "type": notice.type,
                "actorId": people.ids[notice.actor],
                "actorName": people.names[notice.actor],
                "data": notice.data,
                "read": notice.moment < self._world.now - 3 * DAY and sequence % 6 != 0,
                "createdAt": notice.moment,
            }
            if (avatar := people.avatars[notice.actor]) is not None:
                row["actorAvatar"] = avatar
            yield row
