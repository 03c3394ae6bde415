"""Every query goes by an index, and what many documents pass through is sorted by none but it."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from datalayer import Stories
from datalayer.documents import Scene
from datalayer.errors import StaleGenerationError
from datalayer.testing import count_commands
from datalayer.testing.explained import explain, statements
from tests.stories.world import filled_story

PLANNED = {"find", "aggregate", "update", "delete", "findAndModify"}

Call = Callable[[Stories, Scene], Awaitable[Any]]
CALLS: dict[str, Call] = {
    "list": lambda s, _: s.stories.list(),
    "tree": lambda s, scene: s.stories.tree(scene.story_id),
    "delete story": lambda s, scene: s.stories.delete(scene.story_id),
    "chapters": lambda s, scene: s.chapters.in_story(scene.story_id),
    "delete chapter": lambda s, scene: s.chapters.delete(scene.chapter_id),
    "characters": lambda s, scene: s.characters.in_story(scene.story_id),
    "create character": lambda s, scene: s.characters.create(scene.story_id, name="n", traits="t"),
    "create scene": lambda s, scene: s.scenes.create(scene.chapter_id, "o"),
    "in chapter": lambda s, scene: s.scenes.in_chapter(scene.chapter_id),
    "move": lambda s, scene: s.scenes.move(scene.id, 2),
    "delete scene": lambda s, scene: s.scenes.delete(scene.id),
    "request": lambda s, scene: s.scenes.request_generation(scene.id),
    "release": lambda s, _: s.scenes.release_stale(0),
    "complete": lambda s, scene: s.scenes.complete_generation(scene.story_id, "p"),  # type: ignore[arg-type]
    "status counts": lambda s, scene: s.scenes.status_counts(scene.story_id),
}


@pytest.mark.parametrize("name", CALLS)
async def test_plans(stories: Stories, name: str) -> None:
    story = await filled_story(stories, scenes_in_all=50)
    first = (await stories.chapters.in_story(story.id))[0]
    scene = (await stories.scenes.in_chapter(first.id))[0]
    with count_commands(stories) as commands:
        try:
            await CALLS[name](stories, scene)
        except StaleGenerationError:
            assert name == "complete"
    planned = [statement for command in commands for statement in statements(command.document)]
    assert planned
    for statement in planned:
        plan = await explain(stories.database, statement)
        assert plan.faults == []
        assert plan.keys <= 60
