"""Likes of posts and comments."""

from collections.abc import Iterator
from typing import Any, Literal, TypeAlias

from bson import ObjectId

from datalayer.seeding.draws import PRIME, Ids, source
from datalayer.seeding.tables.comments import Comments, Remark
from datalayer.seeding.tables.posts import Posts
from datalayer.seeding.tables.users import People
from datalayer.seeding.world import World

Kind: TypeAlias = Literal["post", "comment"]


class Likes:
    """The likes. No user likes a target twice, because the steps between the users are a prime."""

    def __init__(self, world: World, people: People, posts: Posts, comments: Comments) -> None:
        self._world, self._people, self._posts, self._comments = world, people, posts, comments
        self._ids = Ids(world, "likes")
        self.mark = self._ids.mark
        self._of_posts = posts.likes.before(posts.count)
        self.count = self._of_posts + comments.likes.before(comments.count)
        self._salt = source(world, "likes").randrange(PRIME)

    def of_post(self, post: int) -> list[tuple[int, int]]:
        """Return the likes of the post: the number of the user, and the time."""
        return self._of(self._posts.likes[post], self._posts.created(post), self._posts.readers(post), post)

    def of_comment(self, remark: Remark) -> list[tuple[int, int]]:
        """Return the likes of the comment."""
        salt = remark.number + self._posts.count
        return self._of(self._comments.likes[remark.number], remark.created, self._posts.readers(remark.post), salt)

    def _of(self, total: int, created: int, readers: int, salt: int) -> list[tuple[int, int]]:
        first = salt * 7_919 + self._salt
        window = self._world.between(created, 5) // (total + 1)
        return [((first + step * PRIME) % readers, created + step * window) for step in range(1, total + 1)]

    def rows(self) -> Iterator[dict[str, Any]]:
        """Return the documents: likes of posts, then likes of comments."""
        number = 0
        for post in range(self._posts.count):
            if likers := self.of_post(post):
                yield from self._rows("post", self._posts.id(post), likers, number)
                number += len(likers)
        for post in range(self._posts.count):
            for remark in self._comments.of(post):
                if likers := self.of_comment(remark):
                    yield from self._rows("comment", remark.id, likers, number)
                    number += len(likers)

    def _rows(self, kind: Kind, target: ObjectId, likers: list[tuple[int, int]], number: int) -> list[dict[str, Any]]:
        make, users = self._ids.make, self._people.ids
        return [
            {
                "_id": make(liked, number + step),
                "userId": users[user],
                "targetType": kind,
                "targetId": target,
                "createdAt": liked,
            }
            for step, (user, liked) in enumerate(likers)
        ]
