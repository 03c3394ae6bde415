"""Courses, modules and lessons: states, orders, and what goes when one of them goes."""

import asyncio
import random
from collections.abc import AsyncIterator
from typing import Any

import pytest
from bson import ObjectId
from pymongo import AsyncMongoClient

from datalayer import Community
from datalayer.documents import Lesson, Module
from datalayer.errors import DataLayerError, InvalidCursorError, InvalidInputError, NotFoundError
from datalayer.ids import CourseId, LessonId, ModuleId
from tests.commands import CommandLog, keys_and_stages
from tests.community.curricula import Curriculum, curriculum, lesson_titles, module_titles, overlap
from tests.community.world import people, person
from tests.seeding.invariants import violations

COURSE, MODULE, LESSON = CourseId(ObjectId()), ModuleId(ObjectId()), LessonId(ObjectId())


@pytest.fixture
def clock(community: Community, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A clock that moves by one whenever it is looked at."""
    ticks = iter(range(1_000, 1_000_000))
    monkeypatch.setattr(community._connection, "now", lambda: next(ticks))


@pytest.fixture
async def pausing(client: AsyncMongoClient[Any]) -> AsyncIterator[None]:
    """A server whose queries pause all the time to let others write, as those do that take long."""
    name = "internalQueryExecYieldIterations"
    usual = await client.admin.command({"getParameter": 1, name: 1})
    await client.admin.command({"setParameter": 1, name: 2})
    yield
    await client.admin.command({"setParameter": 1, name: usual[name]})


async def test_a_course_is_made_as_a_draft(community: Community) -> None:
    course = await community.courses.create(title="Sailing", description="On water", required_tier="pro")
    assert (course.status, course.visibility, course.enrollment_count) == ("draft", "public", 0)
    assert course.created_at == course.updated_at
    assert await community.courses.get(course.id) == course


@pytest.mark.usefixtures("clock")
async def test_an_update_changes_what_is_given(community: Community) -> None:
    """What is left out stays, `None` removes, `updatedAt` follows; a counter or an order is no change."""
    course = await community.courses.create(title="Sailing", description="On water", thumbnail_storage_id="file")
    updated = await community.courses.update(course.id, title="Rowing", description=None)
    assert (updated.title, updated.description, updated.thumbnail_storage_id) == ("Rowing", None, "file")
    assert course.created_at < course.updated_at + 1 == updated.updated_at
    published = await community.courses.publish(course.id)
    assert published.updated_at > updated.updated_at
    assert await community.courses.publish(course.id) == published
    module = await community.modules.create(course.id, "One")
    lesson = await community.lessons.create(module.id, "First", content="Ahoy", attachment_ids=["a", "b"])
    await community.enrollments.enroll((await person(community)).id, course.id)
    assert (await community.courses.get(course.id)).updated_at == published.updated_at
    changed = await community.lessons.update(lesson.id, content=None, video_url="https://example.org")
    assert (changed.content, changed.attachment_ids) == (None, ["a", "b"])
    assert changed.updated_at > lesson.updated_at
    other = await community.lessons.create(module.id, "Second")
    await community.lessons.reorder(module.id, [other.id, lesson.id])
    assert (await community.lessons.get(lesson.id)).updated_at == changed.updated_at
    assert (await community.modules.rename(module.id, "Uno")).title == "Uno"


async def test_published_and_drafts(community: Community, log: CommandLog) -> None:
    """Each list shows its state, newest first, without what is deleted; in pages, from an index."""
    made = [await community.courses.create(title=f"{n}", visibility=("public", "paid")[n % 2]) for n in range(9)]
    for course in made[:7]:
        await community.courses.publish(course.id)
    await community.courses.delete(made[3].id)
    await community.courses.unpublish(made[0].id)
    with log.recorded() as commands:
        first = await community.courses.published(limit=3)
        second = await community.courses.published(limit=3, after=first.next)
        paid = await community.courses.published(visibility="paid", limit=1)
        more_paid = await community.courses.published(visibility="paid", limit=1, after=paid.next)
        drafts = await community.courses.by_status("draft")
    assert [course.title for course in first.items + second.items] == ["6", "5", "4", "2", "1"]
    assert second.next is None
    assert [course.title for course in paid.items + more_paid.items] == ["5", "1"]
    assert [course.title for course in drafts.items] == ["8", "7", "0"]
    with pytest.raises(InvalidCursorError):
        await community.courses.published(visibility="public", after=paid.next)
    for command in commands:
        assert (await keys_and_stages(community.database, command))[1].isdisjoint({"SORT", "COLLSCAN"})


async def test_a_deleted_course_comes_back_as_it_was(community: Community) -> None:
    world, user = await curriculum(community, 2), await person(community)
    await community.enrollments.enroll(user.id, world.course.id)
    await community.courses.delete(world.course.id)
    assert await community.courses.find(world.course.id) is None
    assert await community.courses.get_many([world.course.id]) == {}
    assert (await community.courses.get(world.course.id, include_deleted=True)).deleted_at is not None
    for call in (
        community.courses.delete(world.course.id),
        community.courses.update(world.course.id, title="Rowing"),
        community.courses.publish(world.course.id),
        community.courses.outline(world.course.id),
        community.modules.create(world.course.id, "More"),
        community.modules.reorder(world.course.id, [world.modules[0].id]),
        community.lessons.create(world.modules[0].id, "More"),
        community.enrollments.enroll(user.id, world.course.id),
        community.enrollments.open_lesson(user.id, world.lessons[0].id),
        community.enrollments.resume(user.id, world.course.id),
        community.lesson_progress.complete(user.id, world.lessons[0].id),
        community.lesson_progress.of_course(user.id, world.course.id),
    ):
        with pytest.raises(NotFoundError):
            await call
    restored = await community.courses.restore(world.course.id)
    assert (restored.status, restored.enrollment_count, restored.deleted_at) == ("published", 1, None)
    assert await community.courses.restore(world.course.id) == restored
    assert await violations(community.database) == []


# The outline


async def test_an_outline_of_a_thousand_lessons_takes_three_round_trips(community: Community, log: CommandLog) -> None:
    """50 modules, 20 lessons each, put into an order that is not the one in which they were made."""
    course = await community.courses.create(title="Everything")
    orders = random.Random(1).sample(range(50), 50)  # noqa: S311
    modules = [Module(course_id=course.id, title=f"{order}", order=order, created_at=1) for order in orders]
    lessons = [
        Lesson(module_id=module.id, title=f"{module.title}.{order}", order=order, created_at=1, updated_at=1)
        for order in range(19, -1, -1)
        for module in modules
    ]
    await community.database["modules"].insert_many([module.to_wire() for module in modules])
    await community.database["lessons"].insert_many([lesson.to_wire() for lesson in lessons])
    with log.recorded() as commands:
        outline = await community.courses.outline(course.id)
    assert outline.course == course
    assert [item.module.title for item in outline.modules] == [f"{number}" for number in range(50)]
    found = [[lesson.title for lesson in item.lessons] for item in outline.modules]
    assert found == [[f"{number}.{order}" for order in range(20)] for number in range(50)]
    assert len(commands) == 3
    for command in commands:
        assert (await keys_and_stages(community.database, command))[1].isdisjoint({"SORT", "COLLSCAN"})


async def test_an_outline_shows_what_is_empty(community: Community) -> None:
    course = await community.courses.create(title="Nothing yet")
    assert (await community.courses.outline(course.id)).modules == []
    await community.modules.create(course.id, "Soon")
    (item,) = (await community.courses.outline(course.id)).modules
    assert (item.module.title, item.lessons) == ("Soon", [])

    async def work() -> int:
        await community.modules.create(course.id, "Later")
        return len((await community.courses.outline(course.id)).modules)

    assert await community.transaction(work) == 2


# Orders


async def test_modules_have_an_order_without_gaps(community: Community) -> None:
    course = (await curriculum(community)).course
    a, b, c, d = [await community.modules.create(course.id, title) for title in "abcd"]
    await community.modules.reorder(course.id, [d.id, b.id, a.id, c.id])
    assert await module_titles(community, course) == ["d", "b", "a", "c"]
    await community.modules.delete(b.id)
    assert await module_titles(community, course) == ["d", "a", "c"]
    await community.modules.create(course.id, "e")
    assert await module_titles(community, course) == ["d", "a", "c", "e"]


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
        with pytest.raises(InvalidInputError, match=r"^ids: must be all (modules of the course|lessons of the module)"):
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


async def test_a_removal_completes_the_course_for_who_lacked_only_that(community: Community) -> None:
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
    await community.lessons.delete(world.lessons[0].id)
    after = await completed()
    assert [at is not None for at in after] == [True, False, False, True, False]
    assert after[3] == before[3]
    await community.modules.delete(world.modules[0].id)
    await community.modules.delete(world.modules[1].id)
    assert await completed() == after
    assert await community.database["lessonProgress"].count_documents({}) == 0
    assert await violations(community.database) == []


async def test_no_orphans_when_creation_and_removal_meet(community: Community) -> None:
    """Lessons that are made in, or moved into, a module that is being removed go with it or are refused."""
    for _ in range(6):
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


@pytest.mark.parametrize("removal", ["lesson", "module"])
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


async def test_removals_find_what_they_remove_by_indexes(community: Community, log: CommandLog) -> None:
    world, user = await curriculum(community, 2, 2), await person(community)
    await community.enrollments.enroll(user.id, world.course.id)
    await community.lesson_progress.complete(user.id, world.lessons[0].id)
    with log.recorded() as commands:
        await community.lessons.delete(world.lessons[0].id)
    assert len(commands) == 12
    with log.recorded() as more:
        await community.modules.delete(world.modules[0].id)
    assert len(more) == 13
    for command in commands + more:
        if not command.keys() & {"insert", "commitTransaction"}:
            assert (await keys_and_stages(community.database, command))[1].isdisjoint({"SORT", "COLLSCAN"})


# Bad input


@pytest.mark.parametrize(
    ("repository", "verb", "args", "kwargs", "field"),
    [
        ("courses", "create", (), {"title": ""}, "title"),
        ("courses", "create", (), {"title": " "}, "title"),
        ("courses", "create", (), {"title": "x" * 101}, "title"),
        ("courses", "create", (), {"title": "x", "visibility": "secret"}, "visibility"),
        ("courses", "create", (), {"title": "x", "description": "x" * 2001}, "description"),
        ("courses", "update", (COURSE,), {"title": None}, "title"),
        ("courses", "update", (COURSE,), {"title": {"$ne": ""}}, "title"),
        ("courses", "publish", ({"$ne": None},), {}, "id"),
        ("courses", "published", (), {"visibility": "all"}, "visibility"),
        ("courses", "published", (), {"limit": 0}, "limit"),
        ("courses", "by_status", ("deleted",), {}, "status"),
        ("courses", "outline", (str(COURSE),), {}, "id"),
        ("modules", "create", (COURSE, "x" * 201), {}, "title"),
        ("modules", "create", (str(COURSE), "x"), {}, "course_id"),
        ("modules", "rename", (MODULE, None), {}, "title"),
        ("modules", "reorder", (COURSE, str(MODULE)), {}, "ids"),
        ("modules", "reorder", (COURSE, [str(MODULE)]), {}, "ids[0]"),
        ("lessons", "create", (MODULE, "x"), {"attachment_ids": ["f"] * 101}, "attachment_ids"),
        ("lessons", "create", (MODULE, "x"), {"content": "x" * 100_001}, "content"),
        ("lessons", "create", (MODULE, "x"), {"video_url": 5}, "video_url"),
        ("lessons", "update", (LESSON,), {"title": None}, "title"),
        ("lessons", "move", (LESSON, str(MODULE)), {}, "module_id"),
    ],
)
async def test_bad_input_is_refused_before_it_is_sent(
    community: Community, log: CommandLog, *, repository: str, verb: str, args: Any, kwargs: Any, field: str
) -> None:
    with log.recorded() as commands, pytest.raises(InvalidInputError) as error:
        await getattr(getattr(community, repository), verb)(*args, **kwargs)
    assert error.value.field == field
    assert commands == []


async def test_a_lesson_stays_in_its_course(community: Community) -> None:
    world, other = await curriculum(community, 1), await curriculum(community, 0)
    with pytest.raises(InvalidInputError, match=r"^module_id: is a module of another course"):
        await community.lessons.move(world.lessons[0].id, other.modules[0].id)
    assert await lesson_titles(community, world.modules[0]) == ["Part 0, 0"]


@pytest.mark.parametrize(
    ("repository", "verb", "args"),
    [
        *[("courses", verb, (COURSE,)) for verb in ("get", "update", "publish", "unpublish", "delete", "restore")],
        *[("modules", verb, (MODULE,)) for verb in ("get", "delete")],
        *[("lessons", verb, (LESSON,)) for verb in ("get", "update", "delete")],
        ("courses", "outline", (COURSE,)),
        ("modules", "create", (COURSE, "x")),
        ("modules", "rename", (MODULE, "x")),
        ("lessons", "create", (MODULE, "x")),
        ("lessons", "move", (LESSON, MODULE)),
    ],
)
async def test_what_is_not_there_is_not_found(community: Community, repository: str, verb: str, args: Any) -> None:
    with pytest.raises(NotFoundError):
        await getattr(getattr(community, repository), verb)(*args)
    assert await community.database[repository].count_documents({}) == 0


async def test_a_module_to_move_to_must_be_there(community: Community) -> None:
    world = await curriculum(community, 1)
    with pytest.raises(NotFoundError, match="Module"):
        await community.lessons.move(world.lessons[0].id, MODULE)
