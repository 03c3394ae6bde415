"""Likes of posts and comments."""

from datalayer.documents.likes import Like
from datalayer.ids import LikeId
from datalayer.repositories.base import Repository


class Likes(Repository[Like, LikeId]):
    """Likes by id."""

    document = Like
