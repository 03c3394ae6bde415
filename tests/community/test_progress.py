"""Progress: lessons are done once, and a course is completed once."""

import asyncio
from typing import Any

import pytest
from bson import ObjectId
from pymongo.database import Database

from datalayer import Community
from datalayer.engine.ids import new_object_id
from datalayer.errors import InvalidInputError, NotEnrolledError, NotFoundError
from datalayer.ids import CourseId, LessonId, LessonProgressId, UserId
from datalayer.repositories.lesson_progress import Completion, CourseProgress
from datalayer.testing import FrozenClock, count_commands
from tests.commands import keys_and_stages
from tests.community.curricula import Curriculum, curriculum
from tests.community.world import people, person
from tests.interleaving.changes import changed_after_snapshot, changed_before
from tests.seeding.invariants import violations

USER, COURSE, LESSON = UserId(ObjectId()), CourseId(ObjectId()), LessonId(ObjectId())
DONE, DONE_BEFORE = Completion(newly_completed=True, course_completed=False), Completion(False, False)
LAST = Completion(newly_completed=True, course_completed=True)


async def enrolled(community: Community, *sizes: int) -> tuple[UserId, Curriculum]:
    """A user who is enrolled in a course with modules of these sizes."""
    user, world = await person(community), await curriculum(community, *sizes)
    await community.enrollments.enroll(user.id, world.course.id)
    return user.id, world


async def completed_at(community: Community, user_id: UserId, course_id: CourseId) -> int | None:
    """When the user completed the course."""
    enrollment = await community.enrollments.for_pair(user_id, course_id)
    assert enrollment is not None
    return enrollment.completed_at


@pytest.mark.quick("lesson_progress")
async def test_the_last_lesson_completes_the_course(community: Community) -> None:
    """Safe to repeat; the answer tells what is new."""
    user, world = await enrolled(community, 2, 1)
    a, b, c = [lesson.id for lesson in world.lessons]
    results = [await community.lesson_progress.complete(user, lesson) for lesson in (b, b, a, c, c)]
    assert results == [DONE, DONE_BEFORE, DONE, LAST, DONE_BEFORE]
    assert await completed_at(community, user, world.course.id) is not None


async def test_a_lesson_added_later_reopens_the_course_for_nobody(
    community: Community, datalayer_clock: FrozenClock
) -> None:
    """And completing it completes nothing again: the course stays completed since then."""
    user, world = await enrolled(community, 1)
    assert await community.lesson_progress.complete(user, world.lessons[0].id) == LAST
    at = await completed_at(community, user, world.course.id)
    datalayer_clock.advance(1)
    added = await community.lessons.create(world.modules[0].id, "Later")
    assert not await community.lesson_progress.reopen(user, added.id)
    assert await completed_at(community, user, world.course.id) == at
    assert (await community.lesson_progress.of_course(user, world.course.id)).percent == 50
    assert await community.lesson_progress.complete(user, added.id) == DONE
    assert await completed_at(community, user, world.course.id) == at


async def test_reopen(community: Community) -> None:
    """It takes the completion of the lesson back, and of the course; both can be completed again."""
    user, world = await enrolled(community, 2)
    a, b = [lesson.id for lesson in world.lessons]
    assert not await community.lesson_progress.reopen(user, a)
    for lesson in (a, b):
        await community.lesson_progress.complete(user, lesson)
    assert await community.lesson_progress.reopen(user, a)
    assert not await community.lesson_progress.reopen(user, a)
    assert await completed_at(community, user, world.course.id) is None
    assert (await community.lesson_progress.of_course(user, world.course.id)).lesson_ids == {b}
    assert await community.lesson_progress.complete(user, a) == LAST
    (row,) = (await community.lesson_progress.by_lesson(b)).items
    await community.courses.delete(world.course.id)
    await community.lesson_progress.delete(row.id)
    await community.courses.restore(world.course.id)
    assert await completed_at(community, user, world.course.id) is None
    with pytest.raises(NotFoundError):
        await community.lesson_progress.delete(row.id)
    assert await violations(community.database) == []


async def test_the_last_two_lessons_at_once_complete_the_course_once(community: Community) -> None:
    for _ in range(4):
        user, world = await enrolled(community, 2, 1)
        await community.lesson_progress.complete(user, world.lessons[0].id)
        calls = [community.lesson_progress.complete(user, lesson.id) for lesson in world.lessons[1:]]
        assert sorted(result.course_completed for result in await asyncio.gather(*calls)) == [False, True]
    assert await violations(community.database) == []


async def test_one_lesson_by_many_tasks_at_once_is_done_once(community: Community) -> None:
    user, world = await enrolled(community, 1)
    calls = [community.lesson_progress.complete(user, world.lessons[0].id) for _ in range(8)]
    results = await asyncio.gather(*calls)
    assert sorted(result.newly_completed for result in results) == [False] * 7 + [True]
    assert sum(result.course_completed for result in results) == 1


async def test_completions_and_reopenings_at_once_agree_with_the_lessons(community: Community) -> None:
    user, world = await enrolled(community, 2, 2)
    for _ in range(3):
        await asyncio.gather(
            *(community.lesson_progress.complete(user, lesson.id) for lesson in world.lessons),
            *(community.lesson_progress.reopen(user, lesson.id) for lesson in world.lessons[::2]),
        )
        assert await violations(community.database) == []


async def test_a_completion_that_saw_a_lesson_done_conflicts_with_its_reopening(community: Community) -> None:
    """Also where the course was not completed: it is not completed by what is left."""
    user, world = await enrolled(community, 2)
    a, b = [lesson.id for lesson in world.lessons]
    await community.lesson_progress.complete(user, a)
    completion = await changed_after_snapshot(
        community,
        lambda: community.lesson_progress.complete(user, b),
        lambda: community.lesson_progress.reopen(user, a),
    )
    assert completion == DONE
    assert await completed_at(community, user, world.course.id) is None


async def test_many_users_do_not_wait_for_each_other(community: Community) -> None:
    """They complete the same lesson at once, and not one transaction has to be tried again."""
    users, world = await people(community, 24), await curriculum(community, 1)
    await asyncio.gather(*(community.enrollments.enroll(user.id, world.course.id) for user in users))
    with count_commands(community) as commands:
        calls = [community.lesson_progress.complete(user.id, world.lessons[0].id) for user in users]
        assert await asyncio.gather(*calls) == [LAST] * 24
    assert len(commands) == 24 * 5
    assert await violations(community.database) == []


async def test_progress_of_courses(community: Community) -> None:
    """Rounded down, nothing of nothing, zeros without enrollment, only courses that are there."""
    user, world = await enrolled(community, 2, 1)
    empty, foreign, gone = await curriculum(community), await curriculum(community, 1), await curriculum(community, 1)
    await community.courses.delete(gone.course.id)
    done = [lesson.id for lesson in world.lessons[:2]]
    for lesson in done:
        await community.lesson_progress.complete(user, lesson)
    ids = [world.course.id, empty.course.id, foreign.course.id, gone.course.id, COURSE, world.course.id]
    expected = {
        world.course.id: CourseProgress(2, 3, 66, set(done)),
        empty.course.id: CourseProgress(0, 0, 0, set()),
        foreign.course.id: CourseProgress(0, 1, 0, set()),
    }
    assert await community.lesson_progress.of_courses(user, ids) == expected
    assert await community.lesson_progress.of_courses(user, []) == {}
    for id, progress in expected.items():
        with count_commands(community) as commands:
            assert await community.lesson_progress.of_course(user, id) == progress
        assert len(commands) == 2
    for id in (gone.course.id, COURSE):
        with pytest.raises(NotFoundError):
            await community.lesson_progress.of_course(user, id)


async def test_progress_is_of_one_moment(community: Community, datalayer_uri: str) -> None:
    """A lesson that is removed between two round trips counts with its completion, or does not count at all."""
    user, world = await enrolled(community, 2)
    gone = world.lessons[0].id
    await community.lesson_progress.complete(user, gone)

    def remove(database: Database[Any]) -> None:
        database.lessons.delete_one({"_id": gone})
        database.lessonProgress.delete_one({"lessonId": gone})

    before = CourseProgress(1, 2, 50, {gone})
    async with changed_before(datalayer_uri, "lessonProgress", remove) as late:
        assert await late.lesson_progress.of_course(user, world.course.id) == before
    await community.database.lessons.insert_one(world.lessons[0].to_wire())
    await community.lesson_progress.complete(user, gone)
    async with changed_before(datalayer_uri, "lessonProgress", remove) as late:
        assert await late.lesson_progress.of_courses(user, [world.course.id]) == {world.course.id: before}


async def test_progress_of_a_hundred_courses_takes_four_round_trips(community: Community) -> None:
    """As many as for one, and all but the courses from the indexes alone."""
    user, world = await enrolled(community, 1)
    await community.lesson_progress.complete(user, world.lessons[0].id)
    course, module, lesson = world.course.to_wire(), world.modules[0].to_wire(), world.lessons[0].to_wire()
    ids = [CourseId(ObjectId()) for _ in range(120)]
    modules = [module | {"_id": new_object_id(), "courseId": id, "order": order} for id in ids for order in range(2)]
    lessons = [lesson | {"_id": new_object_id(), "moduleId": item["_id"]} for item in modules]
    await community.database["courses"].insert_many([course | {"_id": id, "enrollmentCount": 0} for id in ids])
    await community.database["modules"].insert_many(modules)
    await community.database["lessons"].insert_many(lessons)
    with count_commands(community) as commands:
        progress = await community.lesson_progress.of_courses(user, [*ids, world.course.id])
    assert len(progress) == 121
    assert {progress[id].total for id in ids} == {2}
    assert progress[world.course.id].percent == 100
    assert len(commands) == 4
    stages = [(await keys_and_stages(community.database, command))[1] for command in commands]
    assert all(found.isdisjoint({"SORT", "COLLSCAN"}) for found in stages)
    assert all("FETCH" not in found for found in stages[1:])


async def test_by_lesson_is_paged_newest_first(community: Community) -> None:
    users, world = await people(community, 5), await curriculum(community, 2)
    for user in users:
        await community.enrollments.enroll(user.id, world.course.id)
        await community.lesson_progress.complete(user.id, world.lessons[0].id)
    first = await community.lesson_progress.by_lesson(world.lessons[0].id, limit=3)
    second = await community.lesson_progress.by_lesson(world.lessons[0].id, limit=3, after=first.next)
    assert [row.user_id for row in first.items + second.items] == [user.id for user in users[::-1]]
    assert second.next is None
    assert (await community.lesson_progress.by_lesson(world.lessons[1].id)).items == []


async def test_progress_needs_an_enrollment(community: Community) -> None:
    """In the lesson's own course."""
    user, _ = await enrolled(community, 1)
    other = await curriculum(community, 1)
    with pytest.raises(NotEnrolledError):
        await community.lesson_progress.complete(user, other.lessons[0].id)
    assert not await community.lesson_progress.reopen(user, other.lessons[0].id)
    for verb in ("complete", "reopen"):
        with pytest.raises(NotFoundError):
            await getattr(community.lesson_progress, verb)(user, LESSON)
    with pytest.raises(NotFoundError):
        await community.lesson_progress.delete(LessonProgressId(ObjectId()))
    assert await community.database["lessonProgress"].count_documents({}) == 0


async def test_an_open_transaction_takes_the_completion_along(community: Community) -> None:
    user, world = await enrolled(community, 2)

    async def work() -> None:
        assert await community.lesson_progress.complete(user, world.lessons[0].id) == DONE
        assert await community.lesson_progress.complete(user, world.lessons[1].id) == LAST
        assert (await community.lesson_progress.of_course(user, world.course.id)).percent == 100
        raise KeyError

    with pytest.raises(KeyError):
        await community.transaction(work)
    assert (await community.lesson_progress.of_course(user, world.course.id)).completed == 0


@pytest.mark.parametrize(
    ("verb", "args", "kwargs", "field"),
    [
        ("complete", (str(USER), LESSON), {}, "user_id"),
        ("complete", (USER, {"$exists": True}), {}, "lesson_id"),
        ("reopen", (USER, None), {}, "lesson_id"),
        ("of_course", (USER, str(COURSE)), {}, "course_id"),
        ("of_courses", (USER, COURSE), {}, "course_ids"),
        ("of_courses", (USER, [COURSE, str(COURSE)]), {}, "course_ids[1]"),
        ("by_lesson", (LESSON,), {"limit": True}, "limit"),
    ],
)
async def test_bad_input_is_refused_before_it_is_sent(
    community: Community, *, verb: str, args: Any, kwargs: Any, field: str
) -> None:
    with count_commands(community) as commands, pytest.raises(InvalidInputError) as error:
        await getattr(community.lesson_progress, verb)(*args, **kwargs)
    assert error.value.field == field
    assert commands == []
