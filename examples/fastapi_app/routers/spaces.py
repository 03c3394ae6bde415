"""Spaces, and the posts in them."""

from html import escape

from fastapi import APIRouter, status

from datalayer import Page
from datalayer.documents import Post, Space
from datalayer.ids import SpaceId
from examples.fastapi_app.dependencies import CurrentUser, Data, Paged
from examples.fastapi_app.models import NewPost, NewSpace, PageOut, PostOut, SpaceOut

router = APIRouter(prefix="/spaces", tags=["spaces"])


@router.get("", response_model=list[SpaceOut])
async def list_spaces(community: Data) -> list[Space]:
    """Return all spaces, in order."""
    return await community.spaces.list()


@router.post("", response_model=SpaceOut, status_code=status.HTTP_201_CREATED)
async def create_space(new: NewSpace, community: Data, _user: CurrentUser) -> Space:
    """Create a space, the last in order."""
    return await community.spaces.create(name=new.name, description=new.description, visibility=new.visibility)


@router.get("/{space_id}/posts", response_model=PageOut[PostOut])
async def feed(space_id: SpaceId, page: Paged, community: Data) -> Page[Post]:
    """The space's posts, pinned ones first, then the newest."""
    return await community.posts.feed(space_id, limit=page.limit, after=page.after)


@router.post("/{space_id}/posts", response_model=PostOut, status_code=status.HTTP_201_CREATED)
async def create_post(space_id: SpaceId, new: NewPost, community: Data, user: CurrentUser) -> Post:
    """Write a post and reward its author: both, or neither."""
    html = html_of(new.content)
    return await community.posts.create(
        space_id, user.id, content=new.content, content_html=html, title=new.title, reward=True, notify=True
    )


def html_of(content: str) -> str:
    """Generate the HTML here; never accept it from a client."""
    return f"<p>{escape(content)}</p>"
