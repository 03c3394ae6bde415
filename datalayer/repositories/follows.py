"""Who follows whom."""

from datalayer.documents.follows import Follow
from datalayer.ids import FollowId
from datalayer.repositories.base import Repository


class Follows(Repository[Follow, FollowId]):
    """Follows by id."""

    document = Follow
