"""Enrollments: one for each user and course, counted exactly, by many at once."""

import asyncio
from typing import Any

import pytest
from bson import ObjectId
from pymongo.database import Database

from datalayer import Community
from datalayer.errors import (
    CourseNotOpenError,
    InvalidCursorError,
    InvalidInputError,
    NotEnrolledError,
    NotFoundError,
)
from datalayer.ids import CourseId, EnrollmentId, LessonId, UserId
from datalayer.repositories.enrollments import EnrollResult
from datalayer.testing import count_commands
from tests.commands import keys_and_stages
from tests.community.curricula import curriculum
from tests.community.world import people, person
from tests.interleaving.changes import changed_before
from tests.seeding.invariants import violations

USER, COURSE, LESSON = UserId(ObjectId()), CourseId(ObjectId()), LessonId(ObjectId())


async def test_enroll_and_withdraw_are_safe_to_repeat(community: Community) -> None:
    user, course = await person(community), (await curriculum(community, 1)).course
    result = await community.enrollments.enroll(user.id, course.id)
    enrollment = result.enrollment
    assert result.newly
    assert await community.enrollments.enroll(user.id, course.id) == EnrollResult(enrollment, newly=False)
    assert await community.enrollments.for_pair(user.id, course.id) == enrollment
    assert (await community.courses.get(course.id)).enrollment_count == 1
    assert await community.enrollments.withdraw(user.id, course.id)
    assert not await community.enrollments.withdraw(user.id, course.id)
    assert await community.enrollments.for_pair(user.id, course.id) is None
    assert (await community.courses.get(course.id)).enrollment_count == 0


@pytest.mark.quick("enrollments")
async def test_only_a_published_course_is_open(community: Community) -> None:
    """A draft is refused, also one that was open before; who is enrolled by then stays."""
    users = await people(community, 2)
    course = await community.courses.create(title="Sailing")
    with pytest.raises(CourseNotOpenError):
        await community.enrollments.enroll(users[0].id, course.id)
    await community.courses.publish(course.id)
    enrollment = (await community.enrollments.enroll(users[0].id, course.id)).enrollment
    await community.courses.unpublish(course.id)
    with pytest.raises(CourseNotOpenError):
        await community.enrollments.enroll(users[1].id, course.id)
    assert (await community.enrollments.enroll(users[0].id, course.id)).enrollment == enrollment
    await community.courses.delete(course.id)
    with pytest.raises(NotFoundError):
        await community.enrollments.enroll(users[1].id, course.id)
    assert await violations(community.database) == []


async def test_many_at_once_are_counted_exactly(community: Community) -> None:
    """32 users, each twice, share transactions, and are new once; a user who does not exist spoils nobody else's."""
    users, course = await people(community, 32), (await curriculum(community, 1)).course
    ids = [user.id for user in users] * 2 + [USER]
    calls = [community.enrollments.enroll(id, course.id) for id in ids]
    with count_commands(community) as commands:
        results = await asyncio.gather(*calls, return_exceptions=True)
    assert isinstance(results[-1], NotFoundError)
    found = [result for result in results if isinstance(result, EnrollResult)]
    assert [result.enrollment for result in found[:32]] == [result.enrollment for result in found[32:]]
    assert [result.enrollment.user_id for result in found if result.newly] == ids[:32]
    assert (await community.courses.get(course.id)).enrollment_count == 32
    assert sum(command.name == "commitTransaction" for command in commands) <= 4


async def test_enrollments_withdrawals_and_states_at_once(community: Community) -> None:
    """The counter holds, also where the course is closed and deleted meanwhile, and in two processes."""
    users, course = await people(community, 12), (await curriculum(community, 1)).course
    async with Community.over(community.database, schema="skip") as other:
        for user in users[:6]:
            await community.enrollments.enroll(user.id, course.id)
        await asyncio.gather(
            *(community.enrollments.withdraw(user.id, course.id) for user in users[:4]),
            *(community.enrollments.enroll(user.id, course.id) for user in users),
            *(other.enrollments.enroll(user.id, course.id) for user in users),
            *(other.enrollments.withdraw(user.id, course.id) for user in users[2:6]),
            community.courses.unpublish(course.id),
            return_exceptions=True,
        )
    assert await violations(community.database) == []


async def test_an_open_transaction_takes_the_enrollment_along(community: Community) -> None:
    user, course = await person(community), (await curriculum(community, 1)).course

    async def work() -> None:
        await community.enrollments.enroll(user.id, course.id)
        raise KeyError

    with pytest.raises(KeyError):
        await community.transaction(work)
    assert await community.enrollments.for_pair(user.id, course.id) is None
    with pytest.raises(CourseNotOpenError):
        await community.transaction(lambda: _enroll_in_draft(community, user.id))
    assert await violations(community.database) == []


async def _enroll_in_draft(community: Community, user_id: UserId) -> None:
    course = await community.courses.create(title="Draft")
    await community.enrollments.enroll(user_id, course.id)


@pytest.mark.parametrize("course_is_deleted", [False, True])
@pytest.mark.parametrize("by_id", [False, True])
async def test_the_progress_goes_with_the_enrollment(
    community: Community, *, by_id: bool, course_is_deleted: bool
) -> None:
    """In this course and of this user only, also while the course is deleted; whoever comes back begins anew."""
    user, friend = await people(community, 2)
    world, other = await curriculum(community, 1, 1), await curriculum(community, 1)
    for who in (user, friend):
        for lesson in (*world.lessons, *other.lessons):
            await community.enrollments.enroll(who.id, (world if lesson in world.lessons else other).course.id)
            await community.lesson_progress.complete(who.id, lesson.id)
    enrollment = (await community.enrollments.enroll(user.id, world.course.id)).enrollment
    if course_is_deleted:
        await community.courses.delete(world.course.id)
    if by_id:
        await community.enrollments.delete(enrollment.id)
    else:
        await community.enrollments.withdraw(user.id, world.course.id)
    if course_is_deleted:
        assert (await community.courses.restore(world.course.id)).enrollment_count == 1
    progress = await community.lesson_progress.of_courses(user.id, [world.course.id, other.course.id])
    assert [progress[item.course.id].completed for item in (world, other)] == [0, 1]
    assert (await community.lesson_progress.of_course(friend.id, world.course.id)).percent == 100
    assert (await community.enrollments.enroll(user.id, world.course.id)).enrollment.completed_at is None
    assert await violations(community.database) == []


async def test_no_progress_outlives_a_withdrawal(community: Community) -> None:
    """Lessons that are being completed while the user withdraws, and perhaps comes back."""
    world, user = await curriculum(community, 4), await person(community)
    for _ in range(4):
        await community.enrollments.enroll(user.id, world.course.id)
        await asyncio.gather(
            *(community.lesson_progress.complete(user.id, lesson.id) for lesson in world.lessons),
            community.enrollments.withdraw(user.id, world.course.id),
            community.enrollments.enroll(user.id, world.course.id),
            return_exceptions=True,
        )
        assert await violations(community.database) == []


async def test_enrollments_stay_with_a_deleted_course(community: Community) -> None:
    """It is not among the user's any more, but can be left, and counts when it is restored."""
    users, course = await people(community, 2), (await curriculum(community, 1)).course
    for user in users:
        await community.enrollments.enroll(user.id, course.id)
    await community.courses.delete(course.id)
    assert (await community.enrollments.for_user(users[0].id)).items == []
    assert len((await community.enrollments.in_course(course.id)).items) == 2
    assert await community.enrollments.withdraw(users[0].id, course.id)
    assert (await community.courses.restore(course.id)).enrollment_count == 1
    assert len((await community.enrollments.for_user(users[1].id)).items) == 1


async def test_lists_are_paged_newest_first(community: Community) -> None:
    """By user, all, completed or not, without deleted courses; and by course."""
    user, *others = await people(community, 4)
    worlds = [await curriculum(community, 1, title=f"{number}") for number in range(7)]
    for world in worlds:
        await community.enrollments.enroll(user.id, world.course.id)
        if world.course.title in "135":
            await community.lesson_progress.complete(user.id, world.lessons[0].id)
    await community.courses.delete(worlds[3].course.id)
    await community.courses.delete(worlds[6].course.id)
    titles = {world.course.id: world.course.title for world in worlds}
    with count_commands(community) as commands:
        for completed, expected in ((None, "54210"), (True, "51"), (False, "420")):
            found, after = "", None
            while True:
                page = await community.enrollments.for_user(user.id, completed=completed, limit=2, after=after)
                found += "".join(titles[item.course_id] for item in page.items)
                after = page.next
                if after is None:
                    break
            assert found == expected
        for other in others:
            await community.enrollments.enroll(other.id, worlds[0].course.id)
    page = await community.enrollments.in_course(worlds[0].course.id, limit=3)
    last = await community.enrollments.in_course(worlds[0].course.id, limit=3, after=page.next)
    assert [item.user_id for item in page.items + last.items] == [*(other.id for other in others[::-1]), user.id]
    with pytest.raises(InvalidCursorError):
        await community.enrollments.for_user(user.id, after=page.next)
    first = await community.enrollments.for_user(user.id, completed=True, limit=1)
    with pytest.raises(InvalidCursorError):
        await community.enrollments.for_user(user.id, completed=False, after=first.next)
    for command in commands:
        if command.name == "aggregate":
            assert (await keys_and_stages(community.database, command))[1].isdisjoint({"SORT", "COLLSCAN"})


async def test_resume(community: Community) -> None:
    """The last opened if not done, else the first not done in course order, else the last opened."""
    world, user = await curriculum(community, 2, 2), await person(community)
    a, b, c, d = [lesson.id for lesson in world.lessons]

    async def resumed() -> LessonId | None:
        return await community.enrollments.resume(user.id, world.course.id)

    assert await resumed() is None
    await community.enrollments.enroll(user.id, world.course.id)
    assert await resumed() == a
    enrollment = await community.enrollments.open_lesson(user.id, c)
    assert enrollment == await community.enrollments.for_pair(user.id, world.course.id)
    assert (enrollment.last_lesson_id, await resumed()) == (c, c)
    await community.lesson_progress.complete(user.id, c)
    assert await resumed() == a
    await community.modules.reorder(world.course.id, [module.id for module in world.modules[::-1]])
    assert await resumed() == d
    for lesson in (a, b, d):
        await community.lesson_progress.complete(user.id, lesson)
    assert await resumed() == c
    await community.lessons.delete(c)
    assert await resumed() is None
    assert await violations(community.database) == []


@pytest.mark.parametrize("before", ["enrollments", "lessonProgress"])
async def test_where_to_resume_is_of_one_moment(community: Community, datalayer_uri: str, before: str) -> None:
    """A lesson that was done, and is removed between two round trips, is not taken for one that is left to do."""
    world, user = await curriculum(community, 2), await person(community)
    done, left = [lesson.id for lesson in world.lessons]
    await community.enrollments.enroll(user.id, world.course.id)
    await community.lesson_progress.complete(user.id, done)

    def remove(database: Database[Any]) -> None:
        database.lessons.delete_one({"_id": done})
        database.lessonProgress.delete_one({"lessonId": done})

    async with changed_before(datalayer_uri, before, remove) as late:
        assert await late.enrollments.resume(user.id, world.course.id) == left


async def test_a_lesson_of_another_course_is_not_opened(community: Community) -> None:
    user, world, other = await person(community), await curriculum(community, 1), await curriculum(community, 1)
    await community.enrollments.enroll(user.id, world.course.id)
    with pytest.raises(NotEnrolledError):
        await community.enrollments.open_lesson(user.id, other.lessons[0].id)
    assert await community.enrollments.resume(user.id, world.course.id) == world.lessons[0].id


@pytest.mark.parametrize(
    ("verb", "args", "kwargs", "field"),
    [
        ("enroll", (str(USER), COURSE), {}, "user_id"),
        ("enroll", (USER, {"$ne": None}), {}, "course_id"),
        ("withdraw", (USER, None), {}, "course_id"),
        ("for_pair", (USER, str(COURSE)), {}, "course_id"),
        ("for_user", (USER,), {"completed": "yes"}, "completed"),
        ("for_user", (USER,), {"limit": 101}, "limit"),
        ("in_course", (COURSE,), {"after": 5}, "after"),
        ("open_lesson", (USER, str(LESSON)), {}, "lesson_id"),
        ("resume", ({}, COURSE), {}, "user_id"),
    ],
)
async def test_bad_input_is_refused_before_it_is_sent(
    community: Community, *, verb: str, args: Any, kwargs: Any, field: str
) -> None:
    with count_commands(community) as commands, pytest.raises(InvalidInputError) as error:
        await getattr(community.enrollments, verb)(*args, **kwargs)
    assert error.value.field == field
    assert commands == []


async def test_what_is_not_there_is_not_found(community: Community) -> None:
    user = await person(community)
    for call in (
        community.enrollments.enroll(user.id, COURSE),
        community.enrollments.open_lesson(user.id, LESSON),
        community.enrollments.resume(user.id, COURSE),
        community.enrollments.delete(EnrollmentId(ObjectId())),
        community.enrollments.get(EnrollmentId(ObjectId())),
    ):
        with pytest.raises(NotFoundError):
            await call
    assert not await community.enrollments.withdraw(user.id, COURSE)
    assert await community.enrollments.for_pair(user.id, COURSE) is None
