"""Comments, computed from the numbers of the posts."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from bson import ObjectId

from datalayer.seeding.draws import Deck, Every, Ids, source
from datalayer.seeding.phrases import Writer, phrases
from datalayer.seeding.tables.posts import DELETED_COMMENTS, Posts
from datalayer.seeding.tables.users import People
from datalayer.seeding.world import World

_TEXTS = 499
_EDITED = Every(29, 11)

# The shape of a thread: two comments, two replies to the second comment, and another comment. The numbers say how far
# back the parent comment is.
_ANSWERS = (0, 0, 1, 2, 0)


@dataclass(frozen=True, slots=True)
class Remark:
    """A comment by its number: its author, time and parent."""

    number: int
    id: ObjectId
    post: int
    author: int
    created: int
    parent: ObjectId | None

    @property
    def deleted(self) -> bool:
        """True if it is deleted."""
        return self.number in DELETED_COMMENTS


class Comments:
    """The comments of all posts, and their documents."""

    def __init__(self, world: World, people: People, posts: Posts) -> None:
        random = source(world, "comments")
        self._world, self._people, self._posts = world, people, posts
        self._ids = Ids(world, "comments")
        self.mark = self._ids.mark
        self.count = posts.comments.before(posts.count)
        self.likes = Deck(random, world.likes_per_comment, world.founders)
        writer = Writer(random)
        self._tops = _texts(writer, phrases("comments", "top"))
        self._replies = _texts(writer, phrases("comments", "reply"))

    def of(self, post: int) -> Iterator[Remark]:
        """Return the comments of the post with this number, oldest first."""
        posts = self._posts
        total = posts.comments[post]
        if not total:
            return
        written, readers, authors = posts.created(post), posts.readers(post), posts.authors
        first, window = posts.comments.before(post), self._world.between(written, 3)
        ids: list[ObjectId] = []
        for step in range(total):
            number = first + step
            created = written + window * (step + 1) // (total + 1)
            ids.append(self._ids.make(created, number))
            back = _ANSWERS[step % len(_ANSWERS)]
            author = int(readers * authors[(number * 7 + 3) % len(authors)])
            yield Remark(number, ids[step], post, author, created, ids[step - back] if back else None)

    def rows(self) -> Iterator[dict[str, Any]]:
        """The documents, in the order of the posts."""
        world, people = self._world, self._people
        copies = [people.author(number) for number in range(people.count)]
        for post in range(self._posts.count):
            if not self._posts.comments[post]:
                continue
            target = self._posts.id(post)
            for remark in self.of(post):
                texts = self._tops if remark.parent is None else self._replies
                row = {
                    "_id": remark.id,
                    "postId": target,
                    **copies[remark.author],
                    "content": texts[(remark.number * 5) % _TEXTS],
                    "likeCount": self.likes[remark.number],
                    "createdAt": remark.created,
                }
                if remark.parent is not None:
                    row["parentId"] = remark.parent
                if remark.number in _EDITED:
                    row["editedAt"] = remark.created + world.between(remark.created, 0.1) // 2
                if remark.deleted:
                    row["deletedAt"] = remark.created + world.between(remark.created, 9)
                yield row


def _texts(writer: Writer, templates: list[str]) -> list[str]:
    """Use all templates in turn, so that consecutive texts differ."""
    return [writer.fresh().fill(templates[number % len(templates)]) for number in range(_TEXTS)]
