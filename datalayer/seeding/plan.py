"""All collections of a world, in the order in which they are written."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from datalayer import documents
from datalayer.documents import Document
from datalayer.repositories.gamification_config import DEFAULT_VALUES
from datalayer.repositories.levels import DEFAULT_LEVELS
from datalayer.seeding.tables.comments import Comments
from datalayer.seeding.tables.conversations import Conversations
from datalayer.seeding.tables.courses import Courses
from datalayer.seeding.tables.enrollments import Enrollments
from datalayer.seeding.tables.events import Events
from datalayer.seeding.tables.follows import Follows
from datalayer.seeding.tables.likes import Likes
from datalayer.seeding.tables.memberships import Memberships
from datalayer.seeding.tables.notifications import Notifications
from datalayer.seeding.tables.points import Points
from datalayer.seeding.tables.posts import Posts
from datalayer.seeding.tables.reports import Reports
from datalayer.seeding.tables.settings import settings_rows
from datalayer.seeding.tables.spaces import Spaces, Visits
from datalayer.seeding.tables.stories import CHAPTERS, Tales
from datalayer.seeding.tables.users import People
from datalayer.seeding.world import World


@dataclass(frozen=True, slots=True)
class Table:
    """The contents of a collection.

    Attributes:
        mark: The hexadecimal digits 9 to 16 of the ids of its documents; `None` if the schema sets the id.
        rows: Iterates over all documents; the same ones on each call.
    """

    document: type[Document]
    mark: str | None
    count: int
    rows: Callable[[], Iterator[dict[str, Any]]]

    @property
    def name(self) -> str:
        """The collection's name."""
        return self.document.Settings.name


def plan(world: World) -> tuple[Table, ...]:
    """Return the collections of the world. The settings come last: if they exist, everything before is complete."""
    people = People(world)
    spaces = Spaces(world)
    posts = Posts(world, people, spaces)
    comments = Comments(world, people, posts)
    likes = Likes(world, people, posts, comments)
    follows = Follows(world, people)
    enrollments = Enrollments(world, people, courses := Courses(world))
    events = Events(world, people)
    points = Points(world, people, posts=posts, comments=comments, likes=likes, enrollments=enrollments, events=events)
    visits = Visits(world, people, spaces)
    memberships = Memberships(world, people)
    notifications = Notifications(world, people, posts, comments, follows)
    reports = Reports(world, people, posts, comments)
    return (
        Table(documents.User, people.mark, people.count, lambda: people.rows(points.totals, points.levels)),
        *_rewards(points),
        Table(documents.Space, spaces.mark, spaces.count, spaces.rows),
        Table(documents.Post, posts.mark, posts.count, posts.rows),
        Table(documents.Comment, comments.mark, comments.count, comments.rows),
        Table(documents.Like, likes.mark, likes.count, likes.rows),
        Table(documents.Follow, follows.mark, follows.count, follows.rows),
        Table(documents.SpaceVisit, visits.mark, visits.count, visits.rows),
        *_learning(courses, enrollments),
        *_events(events),
        Table(documents.Membership, memberships.mark, memberships.count, memberships.rows),
        Table(documents.Notification, notifications.mark, notifications.count, notifications.rows),
        *_conversations(Conversations(world, people)),
        Table(documents.Report, reports.mark, reports.count, reports.rows),
        *_tales(Tales(world)),
        Table(documents.CommunitySettings, None, 1, lambda: settings_rows(world)),
    )


def _rewards(points: Points) -> Iterator[Table]:
    entries, rules, levels = points.marks
    yield Table(documents.GamificationRule, rules, len(DEFAULT_VALUES), points.rule_rows)
    yield Table(documents.Level, levels, len(DEFAULT_LEVELS), points.level_rows)
    yield Table(documents.PointsEntry, entries, points.count, points.rows)


def _learning(courses: Courses, enrollments: Enrollments) -> Iterator[Table]:
    marks = courses.marks
    modules = [module for course in courses.all for module in course.modules]
    lessons = [lesson for course in courses.all for lesson in course.lessons]
    yield Table(documents.Course, marks[0], len(courses.all), enrollments.course_rows)
    yield Table(documents.Module, marks[1], len(modules), lambda: iter(modules))
    yield Table(documents.Lesson, marks[2], len(lessons), lambda: iter(lessons))
    yield Table(documents.Enrollment, enrollments.marks[0], enrollments.count, enrollments.rows)
    yield Table(documents.LessonProgress, enrollments.marks[1], enrollments.progress_count, enrollments.progress_rows)


def _events(events: Events) -> Iterator[Table]:
    yield Table(documents.Event, events.marks[0], events.count, lambda: iter(events.rows))
    yield Table(documents.Rsvp, events.marks[1], events.rsvp_count, events.rsvp_rows)


def _conversations(conversations: Conversations) -> Iterator[Table]:
    marks = conversations.marks
    yield Table(documents.Conversation, marks[0], conversations.count, conversations.rows)
    yield Table(documents.Message, marks[1], conversations.message_count, conversations.message_rows)


def _tales(tales: Tales) -> Iterator[Table]:
    counts = (tales.count, tales.count * CHAPTERS, tales.scene_count, tales.character_count)
    parts = (
        lambda: tales.rows(lambda tale: [tale.story]),
        lambda: tales.rows(attrgetter("chapters")),
        lambda: tales.rows(attrgetter("scenes")),
        lambda: tales.rows(attrgetter("characters")),
    )
    yield from map(Table, documents.STORIES_DOCUMENTS, tales.marks, counts, parts)
