"""A small community: members write posts, like them, and get points."""

import asyncio
import html
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from datalayer import Community, embedded_server
from datalayer.documents import Post, User
from datalayer.ids import SpaceId, UserId

SPACE = "General"


@asynccontextmanager
async def open_community() -> AsyncGenerator[Community]:
    """Open the database at MONGODB_URI, or on a server of its own, whose data is kept in .data/."""
    if os.environ.get("MONGODB_URI"):
        async with Community.connect() as community:
            yield community
    else:
        async with embedded_server(".data") as uri, Community.connect(uri) as community:
            yield community


async def sign_in(community: Community, account: str, name: str) -> User:
    """Return the user of an account, who is created at the first sign-in."""
    return (await community.users.ensure(account, name=name)).user


async def main_space(community: Community) -> SpaceId:
    """Return the space where everybody writes. The first call creates it, and says what posts and likes are worth."""
    for space in await community.spaces.list():
        if space.name == SPACE:
            return space.id
    await community.gamification_config.install_defaults()
    await community.levels.install_defaults()
    return (await community.spaces.create(name=SPACE)).id


async def publish(community: Community, author_id: UserId, text: str) -> Post:
    """Write a post. The author gets the points for it in the same transaction."""
    space_id = await main_space(community)
    paragraph = f"<p>{html.escape(text)}</p>"
    return await community.posts.create(space_id, author_id, content=text, content_html=paragraph, reward=True)


async def best_posts(community: Community, count: int = 3) -> list[Post]:
    """Return the most liked posts among the newest 100."""
    page = await community.posts.in_space(await main_space(community), limit=100)
    return sorted(page.items, key=lambda post: post.like_count, reverse=True)[:count]


async def main() -> None:
    """Let two members write and like a post, and show what there is."""
    async with open_community() as community:
        ada = await sign_in(community, "auth|ada", "Ada")
        ben = await sign_in(community, "auth|ben", "Ben")
        post = await publish(community, ada.id, "Hello!")
        await community.likes.like(ben.id, "post", post.id, reward=True, notify=True)
        for best in await best_posts(community):
            print(f"{best.author_name}: {best.content} (likes: {best.like_count})")
        for place in await community.points.leaderboard():
            print(f"{place.rank}. {place.user.name}: {place.points} points")


if __name__ == "__main__":
    asyncio.run(main())
