"""How the data reads back: a page of a feed, and a story."""

from collections import defaultdict

from bson import ObjectId

from datalayer.database import Community, Stories
from datalayer.documents import Chapter, Post, Scene, Space, Story


async def read_back_feed(community: Community, limit: int = 5) -> tuple[Space, list[Post]]:
    """The space that was written in last, and the first page of its feed."""
    newest = await community.posts.recent(limit=1)
    space = await community.spaces.get(newest.items[0].space_id)
    feed = await community.posts.feed(space.id, limit=limit)
    return space, feed.items


async def read_back_story(stories: Stories) -> tuple[Story, list[tuple[Chapter, list[Scene]]]]:
    """The newest story with its chapters and their scenes."""
    database = stories.database
    (story,) = await database.stories.find().sort({"createdAt": -1, "_id": -1}).limit(1).to_list()
    chapters = await database.chapters.find({"storyId": story["_id"]}).sort({"chapterNumber": 1}).to_list()
    scenes: defaultdict[ObjectId, list[Scene]] = defaultdict(list)
    for scene in await database.scenes.find({"storyId": story["_id"]}).sort({"sceneNumber": 1}).to_list():
        scenes[scene["chapterId"]].append(Scene.from_wire(scene))
    return Story.from_wire(story), [(Chapter.from_wire(chapter), scenes[chapter["_id"]]) for chapter in chapters]
