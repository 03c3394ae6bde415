"""Small worlds for the tests of the repositories."""

import asyncio

from datalayer import Community
from datalayer.documents import Post, Space, User
from datalayer.testing import Factories


async def people(community: Community, count: int) -> list[User]:
    """So many users, named by their number."""
    return await asyncio.gather(*(community.users.create(name=f"User {number}") for number in range(count)))


async def person(community: Community) -> User:
    """One user."""
    return await Factories(community).user(name="Ada")


async def space(community: Community) -> Space:
    """A space."""
    return await Factories(community).space(name="General")


async def post(
    community: Community, where: Space | None = None, author: User | None = None, text: str = "hello"
) -> Post:
    """A post, in a space and by an author of its own where none are given."""
    return await Factories(community).post(space=where, author=author, content=text)
