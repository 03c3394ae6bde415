"""The documents: a Beanie document for each collection."""

from datalayer.documents.comments import Comment
from datalayer.documents.community_settings import CommunitySettings
from datalayer.documents.conversations import Conversation, Message
from datalayer.documents.courses import Course, Lesson, Module
from datalayer.documents.enrollments import Enrollment, LessonProgress
from datalayer.documents.events import Event, Recurrence, Rsvp
from datalayer.documents.follows import Follow
from datalayer.documents.likes import Like
from datalayer.documents.memberships import Membership, StripeSubscription
from datalayer.documents.notifications import Notification
from datalayer.documents.points import GamificationRule, Level, PointsEntry
from datalayer.documents.posts import Post
from datalayer.documents.reports import Report
from datalayer.documents.scenes import Scene
from datalayer.documents.spaces import Space, SpaceVisit
from datalayer.documents.stories import Chapter, Character, Story
from datalayer.documents.users import NotificationPrefs, User
from datalayer.engine.document import Document, Record
from datalayer.engine.indexes import Index

COMMUNITY_DOCUMENTS: tuple[type[Document], ...] = (
    *(User, Space, Post, Comment, Like, Course, Module, Lesson, Enrollment, LessonProgress, Event, Rsvp),
    *(Membership, Notification, Conversation, Message, PointsEntry, GamificationRule, Level, Follow, Report),
    *(SpaceVisit, CommunitySettings),
)
STORIES_DOCUMENTS: tuple[type[Document], ...] = (Story, Chapter, Scene, Character)

__all__ = [
    "COMMUNITY_DOCUMENTS",
    "STORIES_DOCUMENTS",
    "Chapter",
    "Character",
    "Comment",
    "CommunitySettings",
    "Conversation",
    "Course",
    "Document",
    "Enrollment",
    "Event",
    "Follow",
    "GamificationRule",
    "Index",
    "Lesson",
    "LessonProgress",
    "Level",
    "Like",
    "Membership",
    "Message",
    "Module",
    "Notification",
    "NotificationPrefs",
    "PointsEntry",
    "Post",
    "Record",
    "Recurrence",
    "Report",
    "Rsvp",
    "Scene",
    "Space",
    "SpaceVisit",
    "Story",
    "StripeSubscription",
    "User",
]
