"""Small worlds for the tests of the repositories."""

import asyncio

from datalayer import Community
from datalayer.documents import Post, Space, User


async def people(community: Community, count: int) -> list[User]:
    """So many users, named by their number."""
    return await asyncio.gather(*(community.users.create(name=f"User {number}") for number in range(count)))


async def person(community: Community) -> User:
    """One user."""
    return await community.users.create(name="Ada")


async def space(community: Community) -> Space:
    """A space."""
    return await community.spaces.create(name="General")


async def post(
    community: Community, where: Space | None = None, author: User | None = None, text: str = "hello"
) -> Post:
    """A post, in a space and by an author of its own where none are given."""
    where = where or await space(community)
    author = author or await person(community)
    return await community.posts.create(where.id, author.id, content=text, content_html=f"<p>{text}</p>")
