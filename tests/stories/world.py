"""Small stories for the tests of the repositories."""

from typing import Any

from datalayer import Stories
from datalayer.documents import Chapter, Scene, Story
from datalayer.engine.ids import new_object_id
from datalayer.testing import StoriesFactories
from tests.seeding.invariants import violations


async def chapter(stories: Stories) -> Chapter:
    """The first chapter of a story of its own."""
    return await StoriesFactories(stories).chapter()


async def scenes(stories: Stories, where: Chapter, outlines: str) -> list[Scene]:
    """A scene for each letter."""
    return [await stories.scenes.create(where.id, letter) for letter in outlines]


async def order(stories: Stories, where: Chapter) -> str:
    """The outlines in order; the numbers are 1 to n."""
    found = await stories.scenes.in_chapter(where.id)
    assert [scene.scene_number for scene in found] == list(range(1, len(found) + 1))
    return "".join(scene.outline for scene in found)


async def filled_story(stories: Stories, *, scenes_in_all: int) -> Story:
    """A story whose scenes have prose, shared out among its chapters; they come at once."""
    story = await stories.stories.create("A long story")
    chapters = await stories.chapters.in_story(story.id)
    rows = []
    for number in range(scenes_in_all):
        where = chapters[number % len(chapters)]
        row: dict[str, Any] = {
            "_id": new_object_id(),
            "storyId": story.id,
            "chapterId": where.id,
            "sceneNumber": number // len(chapters) + 1,
            "outline": f"Outline {number}",
            "regenerationCount": 0,
            "status": "draft",
        }
        if number % 5:
            row |= {"status": "complete", "prose": f" Then,\n\n{number}\twords came. " * (number % 90 + 1)}
        rows.append(row)

    async def insert() -> None:
        await stories.scenes._collection.insert_many(rows)

    await stories.transaction(insert)
    return story


async def assert_sound(stories: Stories) -> None:
    """Every rule holds."""
    assert await violations(stories.database) == []
