"""Stories with all that is in them: made, read and removed whole."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest
from bson import ObjectId
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from datalayer import Stories
from datalayer.documents import Chapter, Scene
from datalayer.errors import InvalidInputError, NotFoundError
from datalayer.ids import StoryId
from datalayer.testing import count_commands
from tests.interleaving.changes import changed_within
from tests.stories.world import assert_sound, chapter, filled_story

WORDS = [f"a{chr(code)}b{chr(code)}" for code in range(1, 0x3001) if chr(code).isspace()]
"""Two words between each character that Python takes for white space."""


@pytest.mark.quick("stories")
async def test_a_story_has_its_24_chapters(stories: Stories) -> None:
    story = await stories.stories.create("The lighthouse")
    chapters = await stories.chapters.in_story(story.id)
    assert [item.chapter_number for item in chapters] == list(range(1, 25))
    assert [item.title for item in chapters] == [f"Chapter {number}" for number in range(1, 25)]
    assert await stories.stories.get(story.id) == story
    assert (await stories.stories.rename(story.id, "The harbour")).title == "The harbour"
    await assert_sound(stories)
    with pytest.raises(NotFoundError):
        await stories.stories.rename(StoryId(ObjectId()), "x")


async def test_the_list_is_newest_first(stories: Stories) -> None:
    made = [(await stories.stories.create(f"{number}")).id for number in range(5)]
    first = await stories.stories.list(limit=3)
    rest = await stories.stories.list(limit=3, after=first.next)
    assert [story.id for story in first.items + rest.items] == made[::-1]
    assert rest.next is None


async def test_a_deleted_story_leaves_nothing(stories: Stories) -> None:
    """And the others all they have."""
    kept, gone = [await filled_story(stories, scenes_in_all=30) for _ in range(2)]
    for story in (kept, gone):
        await stories.characters.create(story.id, name="Ada", traits="curious")
    before = {name: await stories.database[name].count_documents({}) for name in ("chapters", "scenes", "characters")}
    await stories.stories.delete(gone.id)
    for name, count in before.items():
        assert await stories.database[name].count_documents({}) * 2 == count
    await assert_sound(stories)
    with pytest.raises(NotFoundError):
        await stories.stories.delete(gone.id)
    with pytest.raises(NotFoundError):
        await stories.stories.tree(gone.id)


async def test_readers_see_a_story_whole_or_not_at_all(stories: Stories) -> None:
    """While stories are made and deleted, those that there are have all chapters, and all scenes."""
    done = asyncio.Event()
    seen: set[tuple[int, int]] = set()

    async def read() -> None:
        while not done.is_set():
            for story in (await stories.stories.list()).items:
                try:
                    tree = await stories.stories.tree(story.id)
                except NotFoundError:
                    continue
                seen.add((len(tree.chapters), sum(len(node.scenes) for node in tree.chapters)))
                assert len(await stories.chapters.in_story(story.id)) in (0, 24)

    async def write() -> None:
        for _ in range(5):
            story = await filled_story(stories, scenes_in_all=40)
            await asyncio.sleep(0.005)
            await stories.stories.delete(story.id)

    readers = [asyncio.create_task(read()) for _ in range(2)]
    await asyncio.gather(*(write() for _ in range(3)))
    done.set()
    await asyncio.gather(*readers)
    assert seen <= {(24, 0), (24, 40)}
    assert (24, 40) in seen


@pytest.mark.usefixtures("slow_aggregate")
async def test_a_tree_is_of_one_moment(stories: Stories) -> None:
    """Of the one before the story was deleted, if it was found."""
    story = await filled_story(stories, scenes_in_all=40)
    with count_commands(stories) as commands:
        reader = asyncio.create_task(stories.stories.tree(story.id))
        while not any(command.name == "aggregate" for command in commands):  # noqa: ASYNC110 - the list tells nobody
            await asyncio.sleep(0.001)
    await stories.stories.delete(story.id)
    tree = await reader
    assert [len(node.scenes) for node in tree.chapters] == [2] * 16 + [1] * 8


READS: dict[str, Callable[[Stories, StoryId], Awaitable[Any]]] = {
    "scenes": lambda s, story_id: s.scenes.status_counts(story_id),
    "chapters": lambda s, story_id: s.chapters.in_story(story_id),
    "characters": lambda s, story_id: s.characters.in_story(story_id),
}


@pytest.mark.parametrize("table", READS)
async def test_what_a_story_has_is_read_at_one_moment(stories: Stories, table: str) -> None:
    """A query that pauses while the story is deleted finds all of it."""
    story = await filled_story(stories, scenes_in_all=24)
    for _ in range(12):
        await stories.characters.create(story.id, name="Ada", traits="curious")
    read, remove = partial(READS[table], stories, story.id), partial(stories.stories.delete, story.id)
    before = await read()
    assert await changed_within(stories.database, table, read, remove) == before


async def test_no_orphan_is_left_when_a_story_goes_while_it_grows(stories: Stories) -> None:
    """Scenes and characters that are made while their story or chapter is deleted exist with it or not at all."""
    for deleted in ("story", "chapter") * 5:
        where = await chapter(stories)
        removal = stories.stories.delete(where.story_id) if deleted == "story" else stories.chapters.delete(where.id)
        await asyncio.gather(
            *(stories.scenes.create(where.id, "o") for _ in range(3)),
            removal,
            *(stories.characters.create(where.story_id, name="n", traits="t") for _ in range(2)),
            stories.scenes.create(where.id, "o"),
            return_exceptions=True,
        )
        assert await stories.database.scenes.count_documents({}) == 0
        if deleted == "chapter":
            await stories.stories.delete(where.story_id)
    for name in ("stories", "chapters", "scenes", "characters"):
        assert await stories.database[name].count_documents({}) == 0


GROWTH: dict[str, Callable[[Stories, Chapter], Awaitable[Any]]] = {
    "scene": lambda s, where: s.scenes.create(where.id, "o"),
    "character": lambda s, where: s.characters.create(where.story_id, name="n", traits="t"),
}
REMOVALS: dict[str, Callable[[Stories, Chapter], Awaitable[Any]]] = {
    "story": lambda s, where: s.stories.delete(where.story_id),
    "chapter": lambda s, where: s.chapters.delete(where.id),
}


@pytest.mark.parametrize("growth", GROWTH)
@pytest.mark.parametrize("removal", REMOVALS)
@pytest.mark.parametrize("growth_is_first", [True, False])
async def test_growth_and_removal_conflict(
    stories: Stories, growth: str, removal: str, *, growth_is_first: bool
) -> None:
    """The one that comes second waits for the transaction of the first, and sees what it did."""
    where = await chapter(stories)
    grow, remove = GROWTH[growth], REMOVALS[removal]
    first, second = (grow, remove) if growth_is_first else (remove, grow)
    begun = asyncio.Event()

    async def slowly() -> None:
        await first(stories, where)
        begun.set()
        await asyncio.sleep(0.03)

    opened = asyncio.create_task(stories.transaction(slowly))
    await begun.wait()
    results = await asyncio.gather(opened, second(stories, where), return_exceptions=True)
    left = await stories.database[f"{growth}s"].count_documents({})
    if (growth, removal) == ("character", "chapter"):
        assert left == 1
        return
    assert left == 0
    assert [type(result) for result in results if isinstance(result, Exception)] == [NotFoundError] * (
        not growth_is_first
    )


@pytest.mark.quick("chapters")
async def test_a_deleted_chapter_leaves_no_gap(stories: Stories) -> None:
    """Also when several go at once; their scenes go with them, and another story keeps its own."""
    story, other = [await filled_story(stories, scenes_in_all=48) for _ in range(2)]
    kept = await stories.chapters.in_story(other.id)
    chapters = await stories.chapters.in_story(story.id)
    gone = [chapters[index].id for index in (0, 5, 6, 23)]
    await asyncio.gather(*(stories.chapters.delete(id) for id in gone))
    left = await stories.chapters.in_story(story.id)
    assert [item.id for item in left] == [item.id for item in chapters if item.id not in gone]
    assert [item.chapter_number for item in left] == list(range(1, 21))
    assert await stories.database.scenes.count_documents({"storyId": story.id}) == 40
    assert await stories.database.scenes.count_documents({"storyId": other.id}) == 48
    assert await stories.chapters.in_story(other.id) == kept
    with pytest.raises(NotFoundError):
        await stories.chapters.delete(gone[0])


async def test_the_tree_of_a_thousand_scenes(stories: Stories) -> None:
    """In three round trips and without the prose, but with its words counted."""
    story = await filled_story(stories, scenes_in_all=1_000)
    await filled_story(stories, scenes_in_all=3)
    with count_commands(stories) as commands:
        tree = await stories.stories.tree(story.id)
    assert len(commands) == 3
    assert tree.story == story
    assert [node.chapter.chapter_number for node in tree.chapters] == list(range(1, 25))
    found = [scene for node in tree.chapters for scene in node.scenes]
    assert len(found) == 1_000
    rows = {row["_id"]: row async for row in stories.database.scenes.find()}
    for node in tree.chapters:
        assert [scene.scene_number for scene in node.scenes] == list(range(1, len(node.scenes) + 1))
        assert {scene.chapter_id for scene in node.scenes} == {node.chapter.id}
    for scene in found:
        row = rows[scene.id]
        assert (scene.outline, scene.status, scene.story_id) == (row["outline"], row["status"], story.id)
        assert scene.word_count == len(row.get("prose", "").split())
    sent = {name: commands[2].document[name] for name in ("aggregate", "pipeline", "cursor", "hint")}
    batch = (await stories.database.command(sent))["cursor"]["firstBatch"]
    assert len(batch) == 1_000
    assert not any("prose" in row for row in batch)


@settings(max_examples=settings().max_examples // 5, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    proses=st.lists(
        st.text(
            st.characters(codec="utf-8", categories=["Z", "Cc", "L"], exclude_characters="\0")
            | st.sampled_from(" \n\t\r\xa0\u2003\u3000\u200b\x1c\x85ab"),
            min_size=1,
            max_size=60,
        ).filter(str.strip),
        max_size=20,
    )
)
@example(proses=["one\ntwo\r\nthree\tfour  five six\xa0seven", "word " * 20_000, "wörd\n" * 15_000, *WORDS])
async def test_words_are_counted_as_python_does(stories: Stories, proses: list[str]) -> None:
    """Between whatever Python takes for white space."""
    story = await stories.stories.create("A story")
    where = (await stories.chapters.in_story(story.id))[0]
    rows = [
        Scene(
            story_id=story.id,
            chapter_id=where.id,
            scene_number=number,
            outline="o",
            prose=prose,
            status="complete",
            regeneration_count=0,
        ).to_wire()
        for number, prose in enumerate(proses, 1)
    ]
    if rows:
        await stories.database.scenes.insert_many(rows)
    tree = await stories.stories.tree(story.id)
    assert [scene.word_count for scene in tree.chapters[0].scenes] == [len(prose.split()) for prose in proses]


async def test_chapters_are_renamed(stories: Stories) -> None:
    where = await chapter(stories)
    assert (await stories.chapters.rename(where.id, "The storm")).title == "The storm"
    assert (await stories.chapters.in_story(where.story_id))[0].title == "The storm"
    assert await stories.chapters.in_story(StoryId(ObjectId())) == []
    with pytest.raises(NotFoundError):
        await stories.chapters.rename(where.story_id, "x")  # type: ignore[arg-type]


@pytest.mark.parametrize("title", ["", " \n", "x" * 201, "a\0b", {"$gt": ""}, 5, None])
async def test_bad_titles(stories: Stories, title: str) -> None:
    where = await chapter(stories)
    for call in (
        stories.stories.create(title),
        stories.stories.rename(where.story_id, title),
        stories.chapters.rename(where.id, title),
    ):
        with pytest.raises(InvalidInputError, match=r"^title: "):
            await call
    assert await stories.database.stories.count_documents({}) == 1
