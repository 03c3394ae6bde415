"""How the data is read and changed: a repository for each table."""

from datalayer.repositories.comments import Comments
from datalayer.repositories.connection import Connection
from datalayer.repositories.conversations import Conversations, Messages
from datalayer.repositories.courses import Courses, Lessons, Modules
from datalayer.repositories.enrollments import Enrollments, Progress
from datalayer.repositories.events import Events, Rsvps
from datalayer.repositories.follows import Follows
from datalayer.repositories.likes import Likes
from datalayer.repositories.memberships import Memberships
from datalayer.repositories.notifications import Notifications
from datalayer.repositories.points import GamificationConfig, Levels, Points
from datalayer.repositories.posts import Posts
from datalayer.repositories.reports import Reports
from datalayer.repositories.scenes import Scenes
from datalayer.repositories.settings import SettingsRepository
from datalayer.repositories.spaces import Spaces, SpaceVisits
from datalayer.repositories.stories import Chapters, Characters, StoryRepository
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
