"""Reads sample data back: a page of a feed, and a story."""

from datalayer.database import Community, Stories
from datalayer.documents import Post, Space
from datalayer.repositories.stories import StoryTree


async def read_back_feed(community: Community, limit: int = 5) -> tuple[Space, list[Post]]:
    """Return the space with the newest post, and the first page of its feed."""
    newest = await community.posts.recent(limit=1)
    space = await community.spaces.get(newest.items[0].space_id)
    feed = await community.posts.feed(space.id, limit=limit)
    return space, feed.items


async def read_back_story(stories: Stories) -> StoryTree:
    """Return the newest story with its chapters and scenes."""
    newest = await stories.stories.list(limit=1)
    return await stories.stories.tree(newest.items[0].id)
