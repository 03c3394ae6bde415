"""The orders of modules and lessons, and what goes when one of them goes."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import pytest
from bson import ObjectId
from pymongo import AsyncMongoClient

from datalayer import Community
from datalayer.documents import Lesson
from datalayer.errors import DataLayerError, InvalidInputError, NotFoundError
from datalayer.ids import ModuleId
from datalayer.testing import FrozenClock, count_commands
from tests.commands import keys_and_stages
from tests.community.curricula import Curriculum, curriculum, lesson_titles, module_titles, overlap
from tests.community.world import people, person
from tests.interleaving.changes import changed_within
from tests.seeding.invariants import violations


@pytest.fixture
async def pausing(client: AsyncMongoClient[Any]) -> AsyncIterator[None]:
    """A server whose queries pause all the time to let others write, as those do that take long."""
    name = "internalQueryExecYieldIterations"
    usual = await client.admin.command({"getParameter": 1, name: 1})
    await client.admin.command({"setParameter": 1, name: 2})
    yield
    await client.admin.command({"setParameter": 1, name: usual[name]})


# Orders


@pytest.mark.quick("modules")
async def test_modules_have_an_order_without_gaps(community: Community) -> None:
    course = (await curriculum(community)).course
    a, b, c, d = [await community.modules.create(course.id, title) for title in "abcd"]
    await community.modules.reorder(course.id, [d.id, b.id, a.id, c.id])
    assert await module_titles(community, course) == ["d", "b", "a", "c"]
    await community.modules.delete(b.id)
    assert await module_titles(community, course) == ["d", "a", "c"]
    await community.modules.create(course.id, "e")
    assert await module_titles(community, course) == ["d", "a", "c", "e"]


@pytest.mark.quick("lessons")
async def test_lessons_have_an_order_without_gaps(community: Community) -> None:
    world = await curriculum(community, 0, 2)
    one, two = world.modules
    a, b, c, d = [await community.lessons.create(one.id, title) for title in "abcd"]
    await community.lessons.reorder(one.id, {d.id: 0, a.id: 1, c.id: 2, b.id: 3}.keys())
    assert await lesson_titles(community, one) == ["d", "a", "c", "b"]
    moved = await community.lessons.move(a.id, two.id)
    assert (moved.module_id, moved.order) == (two.id, 2)
    assert await lesson_titles(community, one) == ["d", "c", "b"]
    assert await lesson_titles(community, two) == ["Part 1, 0", "Part 1, 1", "a"]
    for lesson in (d, d):
        assert (await community.lessons.move(lesson.id, one.id)).order == 2
        assert await lesson_titles(community, one) == ["c", "b", "d"]
    await community.lessons.delete(b.id)
    assert await lesson_titles(community, one) == ["c", "d"]


@pytest.mark.parametrize("kind", ["modules", "lessons"])
async def test_a_reorder_is_complete(community: Community, kind: str) -> None:
    """Missing, foreign and repeated ones are refused, and nothing changes."""
    world, other = await curriculum(community, 2, 2), await curriculum(community, 2)
    parent = world.course.id if kind == "modules" else world.modules[0].id
    foreign = getattr(other, kind)[0].id
    a, b = [item.id for item in getattr(world, kind)[:2]]
    for ids in ([], [a], [a, a], [a, b, a], [a, foreign], [a, b, foreign], [a, ObjectId()]):
        with pytest.raises(InvalidInputError, match=r"^ids: must contain all (modules|lessons) of the "):
            await getattr(community, kind).reorder(parent, ids)
    with pytest.raises(NotFoundError):
        await getattr(community, kind).reorder(ObjectId(), [])
    assert await module_titles(community, world.course) == ["Part 0", "Part 1"]
    assert await lesson_titles(community, world.modules[0]) == ["Part 0, 0", "Part 0, 1"]


async def test_orders_hold_when_they_are_changed_at_once(community: Community) -> None:
    """Modules and lessons that are made, moved, put in order and removed by many tasks."""
    world = await curriculum(community, 4, 4, 4)
    course, modules, lessons = world.course, world.modules, world.lessons
    results = await asyncio.gather(
        *(community.modules.create(course.id, f"New {number}") for number in range(3)),
        *(community.lessons.create(module.id, "New") for module in modules for _ in range(2)),
        *(community.lessons.move(lesson.id, modules[number % 3].id) for number, lesson in enumerate(lessons[1::2])),
        community.lessons.delete(lessons[0].id),
        community.lessons.reorder(modules[0].id, [lesson.id for lesson in lessons[3::-1]]),
        community.modules.reorder(course.id, [module.id for module in modules[::-1]]),
        community.modules.delete(modules[2].id),
        return_exceptions=True,
    )
    assert all(not isinstance(result, Exception) or isinstance(result, DataLayerError) for result in results)
    assert len(await module_titles(community, course)) == 5
    assert await violations(community.database) == []


@pytest.mark.usefixtures("pausing")
async def test_a_reorder_is_seen_whole(community: Community) -> None:
    """Readers of many lessons see the one order or the other, and no lesson twice or not at all."""
    course = (await curriculum(community)).course
    module, other = [await community.modules.create(course.id, title) for title in "ab"]
    lessons = [
        Lesson(module_id=module.id, title=f"{n}", content="x" * 500, order=n, created_at=1, updated_at=1)
        for n in range(400)
    ]
    await community.database["lessons"].insert_many([lesson.to_wire() for lesson in lessons])
    ids = [lesson.id for lesson in lessons]

    async def read() -> None:
        for _ in range(12):
            seen = [lesson.id for lesson in await community.lessons.in_module(module.id)]
            assert seen in (ids, ids[::-1])
            outline = await community.courses.outline(course.id)
            assert len([lesson for item in outline.modules for lesson in item.lessons]) == 400
            assert [item.module.id for item in outline.modules] in ([module.id, other.id], [other.id, module.id])

    async def write() -> None:
        for number in range(6):
            await community.lessons.reorder(module.id, ids[:: -1 if number % 2 == 0 else 1])
            await community.modules.reorder(course.id, [other.id, module.id][:: -1 if number % 2 else 1])

    await asyncio.gather(read(), read(), write())


@pytest.mark.parametrize("kind", ["modules", "lessons"])
async def test_an_order_is_read_at_one_moment(community: Community, kind: str) -> None:
    """By a query that pauses while it changes."""
    world = await (curriculum(community, *[0] * 12) if kind == "modules" else curriculum(community, 12))
    parent: Any = world.course.id if kind == "modules" else world.modules[0].id
    items: list[Any] = world.modules if kind == "modules" else world.lessons
    repository: Any = getattr(community, kind)
    read = partial(repository.in_course if kind == "modules" else repository.in_module, parent)
    reverse = partial(repository.reorder, parent, [item.id for item in items[::-1]])
    found = await changed_within(community.database, kind, read, reverse)
    assert [item.id for item in found] == [item.id for item in items]


# What goes with what


async def test_a_module_takes_its_lessons_and_their_progress_along(community: Community) -> None:
    world, user = await curriculum(community, 2, 2), await person(community)
    await community.enrollments.enroll(user.id, world.course.id)
    for lesson in world.lessons:
        await community.lesson_progress.complete(user.id, lesson.id)
    await community.enrollments.open_lesson(user.id, world.lessons[1].id)
    await community.modules.delete(world.modules[0].id)
    assert await community.lessons.get_many([lesson.id for lesson in world.lessons]) == {
        lesson.id: lesson for lesson in world.lessons[2:]
    }
    progress = await community.lesson_progress.of_course(user.id, world.course.id)
    assert progress.lesson_ids == {lesson.id for lesson in world.lessons[2:]}
    enrollment = await community.enrollments.for_pair(user.id, world.course.id)
    assert enrollment is not None
    assert (enrollment.last_lesson_id, enrollment.completed_at is None) == (None, False)
    assert await violations(community.database) == []


async def test_a_removal_completes_the_course_for_who_lacked_only_that(
    community: Community, datalayer_clock: FrozenClock
) -> None:
    """Not for others, and never where no lesson is left; whoever had completed it stays so."""
    world, users = await curriculum(community, 1, 2), await people(community, 5)
    for user, numbers in zip(users, ([1, 2], [0, 1], [], [0, 1, 2], [0, 2]), strict=True):
        await community.enrollments.enroll(user.id, world.course.id)
        for number in numbers:
            await community.lesson_progress.complete(user.id, world.lessons[number].id)

    async def completed() -> list[int | None]:
        rows = [await community.enrollments.for_pair(user.id, world.course.id) for user in users]
        return [row.completed_at for row in rows if row is not None]

    before = await completed()
    datalayer_clock.advance(1)
    await community.lessons.delete(world.lessons[0].id)
    after = await completed()
    assert [at is not None for at in after] == [True, False, False, True, False]
    assert (after[0], after[3]) == (datalayer_clock.now, before[3])
    await community.modules.delete(world.modules[0].id)
    await community.modules.delete(world.modules[1].id)
    assert await completed() == after
    assert await community.database["lessonProgress"].count_documents({}) == 0
    assert await violations(community.database) == []


@pytest.mark.parametrize("removal", ["lesson", "module"])
async def test_a_removal_in_a_deleted_course_shows_when_it_is_restored(community: Community, removal: str) -> None:
    """Progress, completion and the last lesson opened are then as if the course had been there."""
    world, (nearly, beginner) = await curriculum(community, 1, 2), await people(community, 2)
    gone, *rest = [lesson.id for lesson in world.lessons]
    for user, opened, done in ((nearly, rest[0], rest), (beginner, gone, [gone])):
        await community.enrollments.enroll(user.id, world.course.id)
        await community.enrollments.open_lesson(user.id, opened)
        for lesson in done:
            await community.lesson_progress.complete(user.id, lesson)
    await community.courses.delete(world.course.id)
    await (community.lessons.delete(gone) if removal == "lesson" else _remove_first_module(community, world))
    await community.courses.restore(world.course.id)
    for user, percent, last in ((nearly, 100, rest[0]), (beginner, 0, None)):
        assert (await community.lesson_progress.of_course(user.id, world.course.id)).percent == percent
        enrollment = (await community.enrollments.enroll(user.id, world.course.id)).enrollment
        assert (enrollment.completed_at is not None, enrollment.last_lesson_id) == (percent == 100, last)
    assert await violations(community.database) == []


async def test_no_orphans_when_creation_and_removal_meet(community: Community) -> None:
    """Lessons that are made in, or moved into, a module that is being removed go with it or are refused."""
    for _ in range(4):
        world = await curriculum(community, 0, 3)
        module = world.modules[0]
        results = await asyncio.gather(
            *(community.lessons.create(module.id, "New") for _ in range(3)),
            community.lessons.move(world.lessons[0].id, module.id),
            community.modules.delete(module.id),
            return_exceptions=True,
        )
        assert all(isinstance(result, Lesson | NotFoundError | None) for result in results)
    assert await violations(community.database) == []


@pytest.mark.parametrize("removal", ["lesson", pytest.param("module", marks=pytest.mark.thorough)])
@pytest.mark.parametrize("removal_is_first", [True, False])
@pytest.mark.parametrize("what", ["complete", "complete the rest", "complete an added one", "open", "enroll"])
async def test_nothing_outlives_a_lesson_that_is_removed(
    community: Community, what: str, removal: str, *, removal_is_first: bool
) -> None:
    """Completions, openings and enrollments that overlap with the removal, in either order."""
    world, user = await curriculum(community, 1, 2), await person(community)
    lesson, *rest = [lesson.id for lesson in world.lessons]
    if what != "enroll":
        await community.enrollments.enroll(user.id, world.course.id)
    if what == "complete the rest":
        await community.lesson_progress.complete(user.id, rest.pop())
    if what == "complete an added one":
        for id in (lesson, *rest):
            await community.lesson_progress.complete(user.id, id)
        world.modules[0] = await community.modules.create(world.course.id, "Later")
        lesson = (await community.lessons.create(world.modules[0].id, "Added")).id

    async def use() -> None:
        if what == "enroll":
            await community.enrollments.enroll(user.id, world.course.id)
        if what == "open":
            await community.enrollments.open_lesson(user.id, lesson)
        else:
            await community.lesson_progress.complete(user.id, rest[0] if what == "complete the rest" else lesson)

    async def remove() -> None:
        await (community.lessons.delete(lesson) if removal == "lesson" else _remove_first_module(community, world))

    first, second = (remove, use) if removal_is_first else (use, remove)
    results = await overlap(community, first, second)
    assert [result for result in results if not isinstance(result, NotFoundError | None)] == []
    assert await violations(community.database) == []
    enrollment = await community.enrollments.for_pair(user.id, world.course.id)
    assert enrollment is not None
    assert (enrollment.completed_at is not None) == (what in {"complete the rest", "complete an added one"})


async def _remove_first_module(community: Community, world: Curriculum) -> None:
    await community.modules.delete(world.modules[0].id)


async def test_removals_find_what_they_remove_by_indexes(community: Community) -> None:
    world, user = await curriculum(community, 2, 2), await person(community)
    await community.enrollments.enroll(user.id, world.course.id)
    await community.lesson_progress.complete(user.id, world.lessons[0].id)
    with count_commands(community) as commands:
        await community.lessons.delete(world.lessons[0].id)
    assert len(commands) == 13
    with count_commands(community) as more:
        await community.modules.delete(world.modules[0].id)
    assert len(more) == 14
    for command in commands + more:
        assert (await keys_and_stages(community.database, command))[1].isdisjoint({"SORT", "COLLSCAN"})


async def test_a_lesson_stays_in_its_course(community: Community) -> None:
    world, other = await curriculum(community, 1), await curriculum(community, 0)
    with pytest.raises(InvalidInputError, match=r"^module_id: belongs to another course"):
        await community.lessons.move(world.lessons[0].id, other.modules[0].id)
    assert await lesson_titles(community, world.modules[0]) == ["Part 0, 0"]


async def test_a_module_to_move_to_must_be_there(community: Community) -> None:
    world = await curriculum(community, 1)
    with pytest.raises(NotFoundError, match="Module"):
        await community.lessons.move(world.lessons[0].id, ModuleId(ObjectId()))
