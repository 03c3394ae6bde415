"""The databases of the two products."""

from typing import Any

from pymongo.asynchronous.database import AsyncDatabase

from datalayer import repositories
from datalayer.documents import COMMUNITY_DOCUMENTS, STORIES_DOCUMENTS
from datalayer.engine.client import open_client
from datalayer.engine.clock import Clock
from datalayer.engine.database import Database
from datalayer.schema import ensure_schema

__all__ = ["Community", "Database", "Stories", "open_client"]


class Community(Database):
    """The community platform.

    Attributes:
        users: People, their profiles and roles.
        spaces: The places where people write, in their order.
        space_visits: Who was in which space when, and what is unread there.
        posts: Posts, their feeds and pins.
        comments: Comments on posts, and replies to them.
        likes: Likes of posts and comments.
        follows: Who follows whom.
        courses: Courses and their outlines.
        modules: The parts of a course.
        lessons: The lessons of a module.
        enrollments: Who takes which course, and where they stopped.
        lesson_progress: The lessons that somebody has completed.
        events: Events, also recurring ones.
        rsvps: Who goes to which event.
        memberships: What somebody has paid for, from Stripe.
        notifications: What users are told.
        conversations: Private conversations of two people.
        messages: The messages of a conversation.
        points: Points, and who has the most.
        gamification_config: What an action is worth.
        levels: The levels that points lead to.
        reports: Reports of content and people, and the queue of the moderators.
        community_settings: The name, the look and the domain of the community.
    """

    documents = COMMUNITY_DOCUMENTS
    default_name = "community"
    ensure_schema = staticmethod(ensure_schema)

    def __init__(self, database: AsyncDatabase[dict[str, Any]], clock: Clock) -> None:
        super().__init__(database, clock)
        connection = self._connection
        self.users = repositories.Users(connection)
        self.spaces = repositories.Spaces(connection)
        self.space_visits = repositories.SpaceVisits(connection)
        self.posts = repositories.Posts(connection)
        self.comments = repositories.Comments(connection)
        self.likes = repositories.Likes(connection)
        self.follows = repositories.Follows(connection)
        self.courses = repositories.Courses(connection)
        self.modules = repositories.Modules(connection)
        self.lessons = repositories.Lessons(connection)
        self.enrollments = repositories.Enrollments(connection)
        self.lesson_progress = repositories.Progress(connection)
        self.events = repositories.Events(connection)
        self.rsvps = repositories.Rsvps(connection)
        self.memberships = repositories.Memberships(connection)
        self.notifications = repositories.Notifications(connection)
        self.conversations = repositories.Conversations(connection)
        self.messages = repositories.Messages(connection)
        self.points = repositories.Points(connection)
        self.gamification_config = repositories.GamificationConfig(connection)
        self.levels = repositories.Levels(connection)
        self.reports = repositories.Reports(connection)
        self.community_settings = repositories.SettingsRepository(connection)


class Stories(Database):
    """The story generator.

    Attributes:
        stories: Stories, each with 24 chapters.
        chapters: The chapters of a story.
        scenes: The scenes of a chapter, and the generation of their prose.
        characters: The characters of a story.
    """

    documents = STORIES_DOCUMENTS
    default_name = "stories"
    ensure_schema = staticmethod(ensure_schema)

    def __init__(self, database: AsyncDatabase[dict[str, Any]], clock: Clock) -> None:
        super().__init__(database, clock)
        connection = self._connection
        self.stories = repositories.StoryRepository(connection)
        self.chapters = repositories.Chapters(connection)
        self.scenes = repositories.Scenes(connection)
        self.characters = repositories.Characters(connection)
