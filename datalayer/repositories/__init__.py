"""The public interface to the data: one repository per collection."""

from datalayer.engine.connection import Connection
from datalayer.repositories.chapters import Chapters
from datalayer.repositories.characters import Characters
from datalayer.repositories.comments import Comments
from datalayer.repositories.community_settings import SettingsRepository
from datalayer.repositories.conversations import Conversations
from datalayer.repositories.courses import Courses
from datalayer.repositories.enrollments import Enrollments
from datalayer.repositories.events import Events
from datalayer.repositories.follows import Follows
from datalayer.repositories.gamification_config import GamificationConfig
from datalayer.repositories.lesson_progress import Progress
from datalayer.repositories.lessons import Lessons
from datalayer.repositories.levels import Levels
from datalayer.repositories.likes import Likes
from datalayer.repositories.memberships import Memberships
from datalayer.repositories.messages import Messages
from datalayer.repositories.modules import Modules
from datalayer.repositories.notifications import Notifications
from datalayer.repositories.points import Points
from datalayer.repositories.posts import Posts
from datalayer.repositories.reports import Reports
from datalayer.repositories.rsvps import Rsvps
from datalayer.repositories.scenes import Scenes
from datalayer.repositories.spaces import Spaces, SpaceVisits
from datalayer.repositories.stories import StoryRepository
from datalayer.repositories.users import Users

__all__ = [
    "Chapters",
    "Characters",
    "Comments",
    "Connection",
    "Conversations",
    "Courses",
    "Enrollments",
    "Events",
    "Follows",
    "GamificationConfig",
    "Lessons",
    "Levels",
    "Likes",
    "Memberships",
    "Messages",
    "Modules",
    "Notifications",
    "Points",
    "Posts",
    "Progress",
    "Reports",
    "Rsvps",
    "Scenes",
    "SettingsRepository",
    "SpaceVisits",
    "Spaces",
    "StoryRepository",
    "Users",
]
