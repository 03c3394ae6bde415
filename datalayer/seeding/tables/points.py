"""Points, the rules for awarding them, and levels."""

from bisect import bisect_right
from collections.abc import Iterator
from functools import cached_property
from typing import Any, NamedTuple

from bson import ObjectId

from datalayer.repositories.gamification_config import DEFAULT_VALUES
from datalayer.repositories.levels import DEFAULT_LEVELS
from datalayer.seeding.draws import Ids
from datalayer.seeding.tables.comments import Comments
from datalayer.seeding.tables.enrollments import Enrollments
from datalayer.seeding.tables.events import Events
from datalayer.seeding.tables.likes import Likes
from datalayer.seeding.tables.posts import Posts
from datalayer.seeding.tables.users import People
from datalayer.seeding.world import World

_COLORS = ("#9ca3af", "#60a5fa", "#34d399", "#fbbf24", "#f97316", "#f472b6", "#a78bfa", "#818cf8", "#ef4444", "#d4af37")
_THRESHOLDS = [level["threshold"] for level in DEFAULT_LEVELS]


class Award(NamedTuple):
    """Points for a user; `cause` is the type of the reference, followed by its parts."""

    user: int
    action: str
    cause: tuple[object, ...]
    moment: int


class Points:
    """Awards for activity around the newest posts, in courses and at events."""

    def __init__(
        self,
        world: World,
        people: People,
        *,
        posts: Posts,
        comments: Comments,
        likes: Likes,
        enrollments: Enrollments,
        events: Events,
    ) -> None:
        self._world, self._people, self._posts, self._comments, self._likes = world, people, posts, comments, likes
        self._enrollments, self._events = enrollments, events
        self._ids = Ids(world, "points")
        self._rules, self._levels = Ids(world, "gamificationConfig"), Ids(world, "levels")
        self.marks = (self._ids.mark, self._rules.mark, self._levels.mark)

    @cached_property
    def totals(self) -> list[int]:
        """The points of each user, by number."""
        totals = [0] * self._people.count
        for award in self._awards():
            totals[award.user] += DEFAULT_VALUES[award.action]
        return totals

    @property
    def levels(self) -> list[int]:
        """The level of each user, by number."""
        return [bisect_right(_THRESHOLDS, points) for points in self.totals]

    @cached_property
    def count(self) -> int:
        """The number of entries."""
        return sum(1 for _ in self._awards())

    def _awards(self) -> Iterator[Award]:
        for post in range(self._posts.count - self._world.rewarded_posts, self._posts.count):
            yield from self._for_post(post)
        for study in self._enrollments.studies():
            yield Award(study.user, "enroll", ("course", study.course.id), study.enrolled)
            for lesson, moment in study.lessons():
                yield Award(study.user, "lesson_complete", ("lesson", lesson), moment)
            if study.completed is not None:
                yield Award(study.user, "course_complete", ("course", study.course.id), study.completed)
        for event, answer in self._events.answers():
            if answer.status == "going":
                yield Award(answer.user, "rsvp", ("event", event["_id"]), answer.moment)

    def _for_post(self, post: int) -> Iterator[Award]:
        id, author = self._posts.id(post), self._posts.author(post)
        yield Award(author, "post", ("post", id), self._posts.created(post))
        yield from self._for_likes(author, "post", id, self._likes.of_post(post))
        for remark in self._comments.of(post):
            yield Award(remark.author, "comment", ("comment", remark.id), remark.created)
            yield from self._for_likes(remark.author, "comment", remark.id, self._likes.of_comment(remark))

    def _for_likes(self, author: int, kind: str, target: ObjectId, likers: list[tuple[int, int]]) -> Iterator[Award]:
        for user, moment in likers:
            # Likes of one's own posts and comments earn nothing.
            if user != author:
                yield Award(author, "like_received", ("like", kind, target, self._people.ids[user]), moment)

    def rows(self) -> Iterator[dict[str, Any]]:
        """The entries."""
        for sequence, award in enumerate(self._awards()):
            kind, *parts = award.cause
            yield {
                "_id": self._ids.make(award.moment, sequence),
                "userId": self._people.ids[award.user],
                "action": award.action,
                "amount": DEFAULT_VALUES[award.action],
                "referenceType": kind,
                "referenceId": ":".join(map(str, parts)),
                "createdAt": award.moment,
            }

    def rule_rows(self) -> Iterator[dict[str, Any]]:
        """Return the documents of the rules: the points for each action."""
        for number, (action, value) in enumerate(DEFAULT_VALUES.items()):
            yield {"_id": self._rules.make(self._world.start, number), "action": action, "pointValue": value}

    def level_rows(self) -> Iterator[dict[str, Any]]:
        """The levels."""
        for number, (level, color) in enumerate(zip(DEFAULT_LEVELS, _COLORS, strict=True)):
            yield {
                "_id": self._levels.make(self._world.start, number),
                "name": level["name"],
                "threshold": level["threshold"],
                "order": number + 1,
                "color": color,
            }
