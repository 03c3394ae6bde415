"""Likes of posts and comments. `PUT` and `DELETE` are idempotent, like the methods of the repository."""

from fastapi import APIRouter

from datalayer.ids import CommentId, PostId
from datalayer.repositories.likes import LikeResult
from examples.fastapi_app.dependencies import CurrentUser, Data
from examples.fastapi_app.models import LikeOut

router = APIRouter(tags=["likes"])


@router.put("/posts/{post_id}/like", response_model=LikeOut)
async def like_post(post_id: PostId, community: Data, user: CurrentUser) -> LikeResult:
    """Like a post."""
    return await community.likes.like(user.id, "post", post_id, reward=True, notify=True)


@router.delete("/posts/{post_id}/like", response_model=LikeOut)
async def unlike_post(post_id: PostId, community: Data, user: CurrentUser) -> LikeResult:
    """Unlike a post."""
    return await community.likes.unlike(user.id, "post", post_id)


@router.put("/comments/{comment_id}/like", response_model=LikeOut)
async def like_comment(comment_id: CommentId, community: Data, user: CurrentUser) -> LikeResult:
    """Like a comment."""
    return await community.likes.like(user.id, "comment", comment_id, reward=True, notify=True)


@router.delete("/comments/{comment_id}/like", response_model=LikeOut)
async def unlike_comment(comment_id: CommentId, community: Data, user: CurrentUser) -> LikeResult:
    """Unlike a comment."""
    return await community.likes.unlike(user.id, "comment", comment_id)
