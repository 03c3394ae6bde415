"""Posts. Everything about a post is computed from its number, so no list of posts is needed."""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Any

from bson import ObjectId

from datalayer.engine.clock import HOUR, MINUTE
from datalayer.seeding.draws import Deck, Every, Ids, happens, source
from datalayer.seeding.phrases import Writer, markup, paragraphs
from datalayer.seeding.tables.spaces import Spaces
from datalayer.seeding.tables.users import People
from datalayer.seeding.world import World

DELETED_COMMENTS = Every(61, 7)
"""The numbers of the deleted comments."""

# Distinct primes, so that combinations of draws repeat only after a long time.
_PLACES, _AUTHORS, _TEXTS, _CLOSINGS = 997, 10_007, 211, 401
_DELETED, _EDITED, _ILLUSTRATED, _ARCHIVED = Every(89, 17), Every(13, 5), Every(11, 3), Every(37, 5)
_PINS = 3


@dataclass(frozen=True, slots=True)
class Text:
    """The texts of a post."""

    title: str | None
    content: str
    html: str


class Posts:
    """The properties of each post by its number, and the documents."""

    def __init__(self, world: World, people: People, spaces: Spaces) -> None:
        random = source(world, "posts")
        self._world, self._people, self._spaces = world, people, spaces
        self._ids = Ids(world, "posts")
        self.mark = self._ids.mark
        self.count = world.posts
        self.likes = Deck(random, world.likes_per_post, world.founders)
        self.comments = Deck(random, world.comments_per_post, world.founders)
        self._closed = {
            number for number, place in enumerate(spaces.places) if place.row["postPermission"] == "moderators"
        }
        living = [number for number, place in enumerate(spaces.places) if not place.archived]
        weights = [spaces.places[number].weight for number in living]
        self._places = random.choices(living, weights, k=_PLACES)
        self._archived = [number for number, place in enumerate(spaces.places) if place.archived]
        # Squaring makes the oldest accounts write the most.
        self.authors = [random.random() ** 2 for _ in range(_AUTHORS)]
        writer = Writer(random)
        kinds = {place.kind for place in spaces.places}
        self._texts = {kind: [_text(writer, kind, random) for _ in range(_TEXTS)] for kind in sorted(kinds)}
        self._closings = [
            writer.fresh().several(1 + round(random.random()), "posts", "any", "closings") for _ in range(_CLOSINGS)
        ]
        self._pins = self._pinned()

    def created(self, number: int) -> int:
        """Return the creation time of the post."""
        return self._world.at((number + 0.5) / self.count)

    def id(self, number: int) -> ObjectId:
        """Return the id of the post."""
        return self._ids.make(self.created(number), number)

    def readers(self, number: int) -> int:
        """Return how many users had joined when the post was written."""
        return self._people.joined((number + 0.5) / self.count)

    def author(self, number: int) -> int:
        """Return the number of the author; news are written by admins and moderators."""
        if self.place(number) in self._closed:
            return number % (self._world.admins + self._world.moderators)
        return int(self.readers(number) * self.authors[number % _AUTHORS])

    def place(self, number: int) -> int:
        """Return the number of the space of the post."""
        if number in _ARCHIVED and number < self.count * self._spaces.ARCHIVED_AT - 1:
            return self._archived[0]
        return self._places[number % _PLACES]

    def deleted(self, number: int) -> bool:
        """Return whether the post is deleted."""
        return number in _DELETED

    def rows(self) -> Iterator[dict[str, Any]]:
        """Return the documents, oldest first."""
        world, people = self._world, self._people
        places = [(place.id, self._texts[place.kind]) for place in self._spaces.places]
        closings = [("\n\n" + paragraphs(texts), markup(texts)) for texts in self._closings]
        copies = [people.author(number) for number in range(people.count)]
        make, likes, comments, pins = self._ids.make, self.likes.numbers, self.comments, self._pins
        for number in range(self.count):
            created = self.created(number)
            space, texts = places[self.place(number)]
            text = texts[(number * 7) % _TEXTS]
            closing, closing_html = closings[number % _CLOSINGS]
            first = comments.before(number)
            stop = first + comments[number]
            row = {
                "_id": make(created, number),
                "spaceId": space,
                **copies[self.author(number)],
                "content": text.content + closing,
                "contentHtml": text.html + closing_html,
                "likeCount": likes[number % Deck.SIZE],
                "commentCount": stop - first - DELETED_COMMENTS.before(stop) + DELETED_COMMENTS.before(first),
                "createdAt": created,
            }
            if text.title is not None:
                row["title"] = text.title
            if number in _EDITED:
                row["editedAt"] = created + world.between(created, 0.3) // 2
            if number in _DELETED:
                row["deletedAt"] = created + world.between(created, 20)
            elif number in _ILLUSTRATED:
                row["mediaIds"] = [f"media/{number:08x}-{part}.jpg" for part in range(1 + number % 3)]
            if number in pins:
                row["pinnedAt"] = pins[number]
            yield row

    def _pinned(self) -> dict[int, int]:
        """Return the pinned posts with their pin times: up to three of the first posts of each space not archived."""
        pins: dict[int, int] = {}
        taken = dict.fromkeys(self._places, 0)
        for number in range(min(self.count, 2_000)):
            place = self.place(number)
            if place in taken and taken[place] < _PINS - place % 2 and not self.deleted(number) and number % 4 == 0:
                taken[place] += 1
                created = self.created(number)
                pins[number] = created + min(self._world.between(created, 2), taken[place] * HOUR + number * MINUTE)
        return pins


def _text(writer: Writer, kind: str, random: Random) -> Text:
    writer.fresh()
    title = writer.write("posts", kind, "titles") if happens(random, 0.8) else None
    texts = writer.several(random.randrange(1, 4), "posts", kind, "paragraphs")
    return Text(title, paragraphs(texts), markup(texts))
