"""The dependencies of the routes."""

from typing import Annotated, cast

from fastapi import Depends, Header, HTTPException, Query, Request, status
from pydantic import BaseModel

from datalayer import Community
from datalayer.documents import Post, User
from datalayer.ids import PostId


def _community(request: Request) -> Community:
    return cast("Community", request.app.state.community)


Data = Annotated[Community, Depends(_community)]


async def _user(community: Data, x_auth_user: Annotated[str, Header()]) -> User:
    """The user whom the proxy in front has authenticated; a new one gets a free membership."""
    return (await community.users.ensure(x_auth_user)).user


CurrentUser = Annotated[User, Depends(_user)]


async def _own_post(post_id: PostId, community: Data, user: CurrentUser) -> Post:
    """Who may do what is the application's matter: authors and moderators change a post."""
    post = await community.posts.get(post_id)
    if post.author_id != user.id and user.role == "member":
        raise HTTPException(status.HTTP_403_FORBIDDEN, "This is somebody else's post.")
    return post


OwnPost = Annotated[Post, Depends(_own_post)]


class Paging(BaseModel):
    """The page of a list to return; `after` is the `next` of the previous page. The library validates both."""

    limit: int = 20
    after: str | None = None


Paged = Annotated[Paging, Query()]
