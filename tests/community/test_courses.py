"""Courses: their states and outlines, and what none of a course, its modules and lessons accepts."""

import random
from typing import Any

import pytest
from bson import ObjectId
from pymongo.database import Database

from datalayer import Community
from datalayer.documents import Lesson, Module
from datalayer.errors import InvalidCursorError, InvalidInputError, NotFoundError
from datalayer.ids import CourseId, LessonId, ModuleId
from datalayer.testing import count_commands
from tests.commands import keys_and_stages
from tests.community.curricula import curriculum
from tests.community.world import person
from tests.interleaving.changes import changed_before
from tests.seeding.invariants import violations

COURSE, MODULE, LESSON = CourseId(ObjectId()), ModuleId(ObjectId()), LessonId(ObjectId())


@pytest.fixture
def clock(community: Community, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A clock that moves by one whenever it is looked at."""
    ticks = iter(range(1_000, 1_000_000))
    monkeypatch.setattr(community._connection, "now", lambda: next(ticks))


async def test_a_course_is_made_as_a_draft(community: Community) -> None:
    course = await community.courses.create(title="Sailing", description="On water", required_tier="pro")
    assert (course.status, course.visibility, course.enrollment_count) == ("draft", "public", 0)
    assert course.created_at == course.updated_at
    assert await community.courses.get(course.id) == course


@pytest.mark.usefixtures("clock")
async def test_an_update_changes_what_is_given(community: Community) -> None:
    """What is left out stays, `None` removes, `updatedAt` follows, also another place; a counter is no change."""
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
    moved = await community.lessons.get(lesson.id)
    assert moved.updated_at > changed.updated_at
    await community.lessons.reorder(module.id, [other.id, lesson.id])
    assert await community.lessons.get(lesson.id) == moved
    assert (await community.modules.rename(module.id, "Uno")).title == "Uno"
    assert (await community.lessons.move(lesson.id, module.id)).updated_at > changed.updated_at
    await community.courses.delete(course.id)
    deleted = await community.courses.get(course.id, include_deleted=True)
    assert deleted.updated_at == deleted.deleted_at
    restored = await community.courses.restore(course.id)
    assert restored.updated_at > deleted.updated_at > published.updated_at
    assert await community.courses.restore(course.id) == restored


async def test_published_and_drafts(community: Community) -> None:
    """Each list shows its state, newest first, without what is deleted; in pages, from an index."""
    made = [await community.courses.create(title=f"{n}", visibility=("public", "paid")[n % 2]) for n in range(9)]
    for course in made[:7]:
        await community.courses.publish(course.id)
    await community.courses.delete(made[3].id)
    await community.courses.unpublish(made[0].id)
    with count_commands(community) as commands:
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


@pytest.mark.quick("courses")
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
        community.lesson_progress.reopen(user.id, world.lessons[0].id),
        community.lesson_progress.of_course(user.id, world.course.id),
    ):
        with pytest.raises(NotFoundError):
            await call
    restored = await community.courses.restore(world.course.id)
    assert (restored.status, restored.enrollment_count, restored.deleted_at) == ("published", 1, None)
    assert await community.courses.restore(world.course.id) == restored
    assert await violations(community.database) == []


# The outline


async def test_an_outline_of_a_thousand_lessons_takes_three_round_trips(community: Community) -> None:
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
    with count_commands(community) as commands:
        outline = await community.courses.outline(course.id)
    assert outline.course == course
    assert [item.module.title for item in outline.modules] == [f"{number}" for number in range(50)]
    found = [[lesson.title for lesson in item.lessons] for item in outline.modules]
    assert found == [[f"{number}.{order}" for order in range(20)] for number in range(50)]
    assert len(commands) == 3
    for command in commands:
        assert (await keys_and_stages(community.database, command))[1].isdisjoint({"SORT", "COLLSCAN"})


@pytest.mark.parametrize("before", ["modules", "lessons"])
async def test_an_outline_is_of_one_moment(community: Community, datalayer_uri: str, before: str) -> None:
    """A module that is removed between two round trips is there with its lessons."""
    world = await curriculum(community, 2, 1)
    whole = await community.courses.outline(world.course.id)

    def remove(database: Database[Any]) -> None:
        database.modules.delete_one({"_id": world.modules[0].id})
        database.lessons.delete_many({"moduleId": world.modules[0].id})

    async with changed_before(datalayer_uri, before, remove) as late:
        assert await late.courses.outline(world.course.id) == whole


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
    community: Community, *, repository: str, verb: str, args: Any, kwargs: Any, field: str
) -> None:
    with count_commands(community) as commands, pytest.raises(InvalidInputError) as error:
        await getattr(getattr(community, repository), verb)(*args, **kwargs)
    assert error.value.field == field
    assert commands == []


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
