"""Comments on posts, and replies to comments."""

from datalayer.documents.comments import Comment
from datalayer.ids import CommentId
from datalayer.repositories.base import SoftDeletingRepository


class Comments(SoftDeletingRepository[Comment, CommentId]):
    """Comments by id."""

    document = Comment
