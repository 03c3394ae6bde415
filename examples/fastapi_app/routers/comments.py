"""The comments on a post."""

from fastapi import APIRouter, status

from datalayer import Page
from datalayer.documents import Comment
from datalayer.ids import PostId
from datalayer.repositories.comments import CommentThread
from examples.fastapi_app.dependencies import CurrentUser, Data, Paged
from examples.fastapi_app.models import CommentOut, NewComment, PageOut, ThreadOut

router = APIRouter(prefix="/posts/{post_id}/comments", tags=["comments"])


@router.get("", response_model=PageOut[ThreadOut])
async def thread(post_id: PostId, page: Paged, community: Data) -> Page[CommentThread]:
    """Return the comments with their replies, newest first."""
    return await community.comments.thread(post_id, limit=page.limit, after=page.after)


@router.post("", response_model=CommentOut, status_code=status.HTTP_201_CREATED)
async def create_comment(post_id: PostId, new: NewComment, community: Data, user: CurrentUser) -> Comment:
    """Create a comment or a reply."""
    return await community.comments.create(
        post_id, user.id, new.content, parent_id=new.parent_id, reward=True, notify=True
    )
