"""One post."""

from fastapi import APIRouter, status

from datalayer.documents import Post
from datalayer.ids import PostId
from examples.fastapi_app.dependencies import Data, OwnPost
from examples.fastapi_app.models import PostChanges, PostOut
from examples.fastapi_app.routers.spaces import html_of

router = APIRouter(prefix="/posts/{post_id}", tags=["posts"])


@router.get("", response_model=PostOut)
async def read_post(post_id: PostId, community: Data) -> Post:
    """The post."""
    return await community.posts.get(post_id)


@router.patch("", response_model=PostOut)
async def edit_post(post: OwnPost, changes: PostChanges, community: Data) -> Post:
    """Change the given fields."""
    given = changes.model_dump(exclude_unset=True)
    if "content" in given:
        given["content_html"] = html_of(changes.content)
    return await community.posts.edit(post.id, **given)


@router.delete("", status_code=status.HTTP_204_NO_CONTENT)
async def delete_post(post: OwnPost, community: Data) -> None:
    """Mark the post as deleted."""
    await community.posts.delete(post.id)


@router.put("/pin", response_model=PostOut)
async def pin_post(post: OwnPost, community: Data) -> Post:
    """Pin the post to the top of its space. Idempotent."""
    return await community.posts.pin(post.id)
