"""What people are told."""

from datalayer.documents.notifications import Notification
from datalayer.ids import NotificationId
from datalayer.repositories.base import Repository


class Notifications(Repository[Notification, NotificationId]):
    """Notifications by id."""

    document = Notification
