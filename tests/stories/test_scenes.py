"""Scenes: their numbers, whatever happens at once."""

import asyncio
import random
from itertools import product
from typing import Any

import pytest
from bson import ObjectId

from datalayer import Stories
from datalayer.documents import Scene
from datalayer.errors import InvalidInputError, NotFoundError
from datalayer.ids import ChapterId, SceneId
from datalayer.testing import count_commands
from tests.stories.world import assert_sound, chapter, order, scenes


async def test_a_scene_is_a_draft_at_the_end_of_its_chapter(stories: Stories) -> None:
    where = await chapter(stories)
    await scenes(stories, where, "ab")
    with count_commands(stories) as commands:
        made = await stories.scenes.create(where.id, "c")
    assert len(commands) == 4
    assert (made.scene_number, made.status, made.regeneration_count) == (3, "draft", 0)
    assert (made.story_id, made.prose) == (where.story_id, None)
    assert await stories.scenes.get(made.id) == made
    assert await order(stories, where) == "abc"
    assert await stories.scenes.in_chapter(ChapterId(ObjectId())) == []
    with pytest.raises(NotFoundError):
        await stories.scenes.create(ChapterId(ObjectId()), "d")


async def test_a_scene_moves_to_its_position(stories: Stories) -> None:
    """From each place to each other one."""
    where = await chapter(stories)
    now = await scenes(stories, where, "abcde")
    for start, position in product(range(5), range(1, 6)):
        expected = [scene.outline for scene in now]
        expected.insert(position - 1, expected.pop(start))
        now = await stories.scenes.move(now[start].id, position)
        assert [scene.outline for scene in now] == expected
        assert now == await stories.scenes.in_chapter(where.id)
        assert await order(stories, where) == "".join(expected)


@pytest.mark.parametrize("numbers", [[1, 2, 4, 5], [2, 3, 4, 9], [1, 3, 4, 9], [3, 4, 5, 6], [1, 5, 6, 7]])
@pytest.mark.share(2)
async def test_gaps_are_closed(stories: Stories, numbers: list[int]) -> None:
    """Scenes that were imported with gaps move from and to every place, and are numbered without gaps then."""
    for start, position in product(range(4), range(1, 5)):
        where = await chapter(stories)
        made = await scenes(stories, where, "abcd")
        for scene, number in reversed([*zip(made, numbers, strict=True)]):
            await stories.database.scenes.update_one({"_id": scene.id}, {"$set": {"sceneNumber": number}})
        expected = [scene.outline for number, scene in enumerate(made) if number != start]
        expected.insert(position - 1, made[start].outline)
        moved = await stories.scenes.move(made[start].id, position)
        assert [scene.outline for scene in moved] == expected
        assert await order(stories, where) == "".join(expected)
        await assert_sound(stories)


@pytest.mark.parametrize("numbers", [[1, 2, 4, 5], [2, 3, 4, 9], [1, 5, 6, 7]])
async def test_a_removal_closes_gaps(stories: Stories, numbers: list[int]) -> None:
    where = await chapter(stories)
    made = await scenes(stories, where, "abcd")
    for scene, number in reversed([*zip(made, numbers, strict=True)]):
        await stories.database.scenes.update_one({"_id": scene.id}, {"$set": {"sceneNumber": number}})
    await stories.scenes.delete(made[1].id)
    assert await order(stories, where) == "acd"
    await assert_sound(stories)


async def test_a_move_keeps_the_prose_and_the_run(stories: Stories) -> None:
    where = await chapter(stories)
    made = await scenes(stories, where, "abc")
    await stories.scenes.edit(made[0].id, prose="once")
    ticket = await stories.scenes.request_generation(made[2].id)
    with count_commands(stories) as commands:
        moved = await stories.scenes.move(made[2].id, 1)
    assert len(commands) == 5
    assert [(scene.prose, scene.generation_token) for scene in moved] == [
        (None, ticket.token),
        ("once", None),
        (None, None),
    ]
    assert (await stories.scenes.complete_generation(ticket.token, "done")).scene_number == 1


async def test_a_position_outside_of_the_chapter_is_refused(stories: Stories) -> None:
    where = await chapter(stories)
    made = await scenes(stories, where, "abc")
    for position in (0, -1, 4, True, "1", 2.5):
        with pytest.raises(InvalidInputError, match=r"^position: "):
            await stories.scenes.move(made[0].id, position)  # type: ignore[arg-type]
    with pytest.raises(NotFoundError):
        await stories.scenes.move(SceneId(ObjectId()), 1)
    assert await order(stories, where) == "abc"


async def test_a_deleted_scene_leaves_no_gap(stories: Stories) -> None:
    where = await chapter(stories)
    made = await scenes(stories, where, "abcd")
    with count_commands(stories) as commands:
        await stories.scenes.delete(made[1].id)
    assert len(commands) == 5
    assert await order(stories, where) == "acd"
    await stories.scenes.delete(made[3].id)
    await stories.scenes.delete(made[0].id)
    assert await order(stories, where) == "c"
    with pytest.raises(NotFoundError):
        await stories.scenes.delete(made[0].id)
    assert (await stories.scenes.create(where.id, "e")).scene_number == 2


async def test_chapters_are_numbered_by_themselves(stories: Stories) -> None:
    first, second = (await stories.chapters.in_story((await chapter(stories)).story_id))[:2]
    made = await scenes(stories, first, "abc")
    await scenes(stories, second, "xyz")
    await stories.scenes.move(made[2].id, 1)
    await stories.scenes.delete(made[0].id)
    assert [await order(stories, first), await order(stories, second)] == ["cb", "xyz"]


async def test_many_at_once_leave_1_to_n(stories: Stories) -> None:
    """Scenes that are made, moved and deleted in one chapter by many tasks; readers see 1 to n at any time."""
    where = await chapter(stories)
    made = await scenes(stories, where, "abcdefgh")
    draw = random.Random(3)  # noqa: S311
    done = asyncio.Event()

    async def read() -> None:
        while not done.is_set():
            await order(stories, where)

    reader = asyncio.create_task(read())
    await asyncio.gather(
        *(stories.scenes.move(draw.choice(made[2:]).id, draw.randint(1, 6)) for _ in range(10)),
        *(stories.scenes.delete(scene.id) for scene in made[:2]),
        *(stories.scenes.create(where.id, letter) for letter in "uvwxyz"),
        *(stories.scenes.edit(scene.id, prose="p") for scene in made[2:]),
    )
    done.set()
    await reader
    assert sorted(await order(stories, where)) == sorted("cdefghuvwxyz")
    await assert_sound(stories)


@pytest.mark.usefixtures("pausing")
async def test_a_move_is_seen_whole(stories: Stories) -> None:
    """Readers of many scenes see each of them once, also while the first becomes the last."""
    where = await chapter(stories)
    rows = [
        Scene(
            story_id=where.story_id,
            chapter_id=where.id,
            scene_number=number,
            outline="o",
            status="draft",
            regeneration_count=0,
        )
        for number in range(1, 201)
    ]
    await stories.database.scenes.insert_many([row.to_wire() for row in rows])
    done = asyncio.Event()

    async def read() -> None:
        while not done.is_set():
            found = await stories.scenes.in_chapter(where.id)
            assert [scene.scene_number for scene in found] == list(range(1, 201))
            assert {scene.id for scene in found} == {row.id for row in rows}

    readers = [asyncio.create_task(read()) for _ in range(2)]
    for number in range(6):
        await stories.scenes.move(rows[0].id, 1 if number % 2 else 200)
    done.set()
    await asyncio.gather(*readers)


async def test_a_create_and_a_delete_at_once(stories: Stories) -> None:
    """Of the only scene, too."""
    where = await chapter(stories)
    (last,) = await scenes(stories, where, "a")
    for _ in range(10):
        made, _ = await asyncio.gather(stories.scenes.create(where.id, "b"), stories.scenes.delete(last.id))
        assert await order(stories, where) == "b"
        last = await stories.scenes.get(made.id)


async def test_two_moves_of_one_scene_at_once(stories: Stories) -> None:
    where = await chapter(stories)
    made = await scenes(stories, where, "abcd")
    for _ in range(5):
        moves = [stories.scenes.move(made[0].id, position) for position in (2, 4)]
        results = await asyncio.gather(*moves, stories.scenes.move(made[1].id, 1))
        assert sorted(await order(stories, where)) == list("abcd")
        assert all(sorted(scene.outline for scene in result) == list("abcd") for result in results)


async def test_an_edit_changes_what_it_is_given(stories: Stories) -> None:
    """And never the state; a run that is under way overwrites it."""
    (scene,) = await scenes(stories, await chapter(stories), "a")
    edited = await stories.scenes.edit(scene.id, prose="$prose", outline="$outline")
    assert (edited.prose, edited.outline, edited.status) == ("$prose", "$outline", "draft")
    assert await stories.scenes.edit(scene.id) == edited
    assert (await stories.scenes.edit(scene.id, prose=None)).prose is None
    assert "prose" not in (await stories.database.scenes.find_one({}) or {})
    ticket = await stories.scenes.request_generation(scene.id)
    assert (await stories.scenes.edit(scene.id, prose="by hand", outline="new")).status == "generating"
    complete = await stories.scenes.complete_generation(ticket.token, "by the model")
    assert (complete.prose, complete.outline, complete.status) == ("by the model", "new", "complete")
    with pytest.raises(NotFoundError):
        await stories.scenes.edit(SceneId(ObjectId()), prose="x")


@pytest.mark.parametrize(
    ("status", "after"), [("draft", "draft"), ("generating", "generating"), ("complete", "draft"), ("error", "error")]
)
async def test_no_scene_is_complete_without_prose(stories: Stories, status: str, after: str) -> None:
    """Where the prose is removed, a complete one is a draft again; the other states stay."""
    (made,) = await scenes(stories, await chapter(stories), "a")
    if status != "draft":
        await stories.scenes.edit(made.id, prose="before")
        token = (await stories.scenes.request_generation(made.id)).token
        if status == "complete":
            await stories.scenes.complete_generation(token, "prose")
        elif status == "error":
            await stories.scenes.fail_generation(token, "no")
    edited = await stories.scenes.edit(made.id, outline="$b", prose=None)
    assert (edited.status, edited.prose, edited.outline) == (after, None, "$b")
    assert (await stories.scenes.edit(made.id, prose=None)).status == after
    await assert_sound(stories)


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"outline": ""}, "outline"),
        ({"outline": "x" * 2_001}, "outline"),
        ({"outline": None}, "outline"),
        ({"outline": {"$literal": "x"}}, "outline"),
        ({"prose": "x" * 100_001}, "prose"),
        ({"prose": " "}, "prose"),
    ],
)
async def test_bad_texts(stories: Stories, arguments: dict[str, Any], field: str) -> None:
    where = await chapter(stories)
    (scene,) = await scenes(stories, where, "a")
    with pytest.raises(InvalidInputError) as error:
        await stories.scenes.edit(scene.id, **arguments)
    assert error.value.field == field
    if "outline" in arguments:
        with pytest.raises(InvalidInputError, match=r"^outline: "):
            await stories.scenes.create(where.id, **arguments)
    if arguments.get("outline"):
        with pytest.raises(InvalidInputError, match=r"^outline: "):
            await stories.scenes.request_generation(scene.id, **arguments)
    assert await stories.scenes.in_chapter(where.id) == [scene]
