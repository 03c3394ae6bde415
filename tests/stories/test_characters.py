"""The characters of a story."""

from typing import Any

import pytest
from bson import ObjectId

from datalayer import Stories
from datalayer.errors import InvalidInputError, NotFoundError
from datalayer.ids import CharacterId, StoryId


@pytest.mark.quick("characters")
async def test_characters_come_in_the_order_of_their_creation(stories: Stories) -> None:
    story = await stories.stories.create("A story")
    other = await stories.stories.create("Another")
    made = [await stories.characters.create(story.id, name=name, traits="brave") for name in ("Zoe", "Ada", "Max")]
    await stories.characters.create(other.id, name="Eve", traits="quiet")
    assert await stories.characters.in_story(story.id) == made
    await stories.characters.delete(made[1].id)
    assert await stories.characters.in_story(story.id) == [made[0], made[2]]
    with pytest.raises(NotFoundError):
        await stories.characters.delete(made[1].id)


async def test_a_character_changes_by_field(stories: Stories) -> None:
    story = await stories.stories.create("A story")
    made = await stories.characters.create(story.id, name="Ada", traits="brave", backstory="b" * 5_000)
    changed = await stories.characters.update(made.id, name="Bea", backstory=None)
    assert (changed.name, changed.traits, changed.backstory) == ("Bea", "brave", None)
    assert "backstory" not in (await stories.database.characters.find_one({}) or {})
    assert await stories.characters.update(made.id, traits="t" * 1_000) == await stories.characters.get(made.id)
    with pytest.raises(NotFoundError):
        await stories.characters.update(CharacterId(ObjectId()), name="x")
    with pytest.raises(NotFoundError):
        await stories.characters.create(StoryId(ObjectId()), name="x", traits="x")


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"traits": " "}, "traits"),
        ({"traits": "x" * 1_001}, "traits"),
        ({"backstory": "x" * 5_001}, "backstory"),
        ({"name": None}, "name"),
    ],
)
async def test_bad_input(stories: Stories, arguments: dict[str, Any], field: str) -> None:
    story = await stories.stories.create("A story")
    made = await stories.characters.create(story.id, name="Ada", traits="brave")
    for call in (
        stories.characters.create(story.id, **({"name": "n", "traits": "t"} | arguments)),
        stories.characters.update(made.id, **arguments),
    ):
        with pytest.raises(InvalidInputError) as error:
            await call
        assert error.value.field == field
    assert await stories.characters.in_story(story.id) == [made]
