"""What people write in the spaces."""

from datalayer.documents.posts import Post
from datalayer.ids import PostId
from datalayer.repositories.base import SoftDeletingRepository


class Posts(SoftDeletingRepository[Post, PostId]):
    """Posts by id."""

    document = Post
