"""Example calls: the courses, and how far people are in them."""

from typing import Any

from tests.plans.calls import ALL_LEVELS, BOTH, Call, Cost, pages, promising
from tests.plans.world import World

LIMIT = 2

LESSONS: Cost = {"seeks": 40, "why": "a key for each module and each lesson of the course"}
EVERYBODY: Cost = {
    "seeks": 60,
    "why": "a key for each module, lesson and enrollment of the course; progress is counted",
}
LOOKED_UP: Cost = {"factor": 3, "why": "a seek in another table for each one, and the others in between"}


async def _newcomer(w: World) -> Any:
    return (await w.c.users.create(name="New")).id


async def _modules(w: World) -> list[Any]:
    return [module.id for module in await w.c.modules.in_course(w.course)]


async def _lessons(w: World) -> list[Any]:
    return [lesson.id for lesson in await w.c.lessons.in_module((await _modules(w))[0])]


async def _empty_module(w: World) -> Any:
    return (await w.c.modules.create(w.course, "New")).id


async def _removed_course(w: World) -> Any:
    await w.c.courses.delete(w.course)
    return w.course


async def _only_lesson(w: World) -> Any:
    """The only lesson of a course, which somebody has done."""
    course = await w.c.courses.create(title="New")
    module = await w.c.modules.create(course.id, "New")
    lesson = await w.c.lessons.create(module.id, "New")
    await w.c.courses.publish(course.id)
    await w.c.enrollments.enroll(w.author, course.id)
    await w.c.lesson_progress.complete(w.author, lesson.id)
    return lesson.id


async def _enrolled(w: World) -> Any:
    """A user who has done the first lesson of the course, and no other."""
    user = await _newcomer(w)
    await w.c.enrollments.enroll(user, w.course)
    await w.c.lesson_progress.complete(user, (await _lessons(w))[0])
    return user


async def _nearly_done(w: World) -> Any:
    """A user who has done all lessons of the course but the first; that one."""
    outline = await w.c.courses.outline(w.course)
    user, lessons = await _newcomer(w), [lesson.id for part in outline.modules for lesson in part.lessons]
    await w.c.enrollments.enroll(user, w.course)
    for lesson in lessons[1:]:
        await w.c.lesson_progress.complete(user, lesson)
    return user, lessons[0]


async def _first_lesson(w: World) -> Any:
    user = await _newcomer(w)
    await w.c.enrollments.enroll(user, w.course)
    return user, (await _lessons(w))[0]


async def _interrupted_removal(w: World) -> Any:
    """A lesson that was removed while its traces in the enrollments are still there."""
    user, lesson = await _nearly_done(w)
    await w.c.database.lessons.delete_one({"_id": lesson})
    await w.c.database.courses.update_one({"_id": w.course}, {"$set": {"removing": [lesson]}})
    return user, lesson


async def _course_ids(w: World) -> list[Any]:
    return await w.ids("courses", deletedAt=None)


async def _reversed_lessons(w: World, ids: list[Any]) -> None:
    module = (await w.one("lessons", _id=ids[0]))["moduleId"]
    await w.c.lessons.reorder(module, ids[::-1])


async def _removed_module(w: World, found: Any) -> None:
    lesson = await w.one("lessons", _id=found[1])
    await w.c.modules.delete(lesson["moduleId"])


async def _moved(w: World, ids: list[Any], where: int) -> None:
    modules = [row["_id"] for row in await w.quiet.modules.find({"courseId": w.course}, sort={"order": 1}).to_list()]
    await w.c.lessons.move(ids[0], modules[where])


COURSES = [
    Call("courses.create", lambda w: w.c.courses.create(title="New")),
    Call("courses.update", lambda w: w.c.courses.update(w.course, title="New")),
    Call("courses.publish", lambda w: w.c.courses.publish(w.course)),
    Call("courses.unpublish", lambda w: w.c.courses.unpublish(w.course)),
    Call("courses.delete", lambda w: w.c.courses.delete(w.course)),
    Call("courses.restore", lambda w, it: w.c.courses.restore(it), before=_removed_course),
    *pages("courses.published", lambda w, after: w.c.courses.published(limit=LIMIT, after=after), "all"),
    *pages(
        "courses.published",
        lambda w, after: w.c.courses.published(visibility="public", limit=1, after=after),
        "of a visibility",
    ),
    *pages("courses.by_status", lambda w, after: w.c.courses.by_status("published", limit=LIMIT, after=after)),
    Call("courses.outline", lambda w: w.c.courses.outline(w.course)),
    Call("modules.create", lambda w: w.c.modules.create(w.course, "New")),
    Call("modules.rename", lambda w, ids: w.c.modules.rename(ids[0], "New"), before=_modules),
    Call("modules.in_course", lambda w: w.c.modules.in_course(w.course)),
    Call("modules.reorder", lambda w, ids: w.c.modules.reorder(w.course, ids[::-1]), before=_modules),
    Call("modules.reorder", lambda w, ids: w.c.modules.reorder(w.course, ids), "no change", before=_modules),
    Call("modules.delete", _removed_module, "with lessons", before=_nearly_done, **EVERYBODY),
    Call("modules.delete", lambda w, it: w.c.modules.delete(it), "empty", before=_empty_module, **EVERYBODY),
    Call("lessons.create", lambda w, ids: w.c.lessons.create(ids[0], "New"), before=_modules),
    Call("lessons.update", lambda w: w.c.lessons.update(w.lesson, title="New")),
    Call("lessons.in_module", lambda w, ids: w.c.lessons.in_module(ids[0]), before=_modules),
    Call(
        "lessons.reorder",
        _reversed_lessons,
        before=_lessons,
    ),
    Call("lessons.move", lambda w, ids: _moved(w, ids, -1), "to another module", before=_lessons),
    Call("lessons.move", lambda w, ids: _moved(w, ids, 0), "within its module", before=_lessons),
    Call("lessons.delete", lambda w, found: w.c.lessons.delete(found[1]), before=_nearly_done, **EVERYBODY),
    Call("lessons.delete", lambda w, it: w.c.lessons.delete(it), "the only one", before=_only_lesson, **EVERYBODY),
    Call(
        "lessons.delete",
        lambda w, found: w.c.lessons.delete(found[1]),
        "interrupted before",
        before=_interrupted_removal,
        **EVERYBODY,
    ),
    Call(
        "modules.delete",
        lambda w, found: w.c.modules.delete(found[1]),
        "interrupted before",
        before=_interrupted_removal,
        **EVERYBODY,
    ),
]


async def _opened(w: World, user: Any) -> None:
    lesson = await w.one("lessons", moduleId={"$in": await w.ids("modules", courseId=w.course)})
    await w.c.enrollments.open_lesson(user, lesson["_id"])


ENROLLMENTS = [
    Call("enrollments.enroll", lambda w, user: w.c.enrollments.enroll(user, w.course), "new", before=_newcomer),
    Call("enrollments.enroll", lambda w, user: w.c.enrollments.enroll(user, w.course), "again", before=_enrolled),
    Call(
        "enrollments.enroll",
        lambda w, user: w.c.enrollments.enroll(user, w.course, **BOTH),
        "rewarded",
        before=_newcomer,
        **ALL_LEVELS,
    ),
    Call(
        "enrollments.enroll",
        lambda w, user: w.c.enrollments.enroll(user, w.course, **BOTH),
        "reaches a level",
        before=promising,
        **ALL_LEVELS,
    ),
    Call("enrollments.withdraw", lambda w, user: w.c.enrollments.withdraw(user, w.course), before=_enrolled, **LESSONS),
    Call(
        "enrollments.withdraw",
        lambda w, user: w.c.enrollments.withdraw(user, w.course),
        "none",
        before=_newcomer,
        **LESSONS,
    ),
    Call(
        "enrollments.delete",
        lambda w, found: w.c.enrollments.delete(found["_id"]),
        before=lambda w: w.one("enrollments", courseId=w.course),
        **LESSONS,
    ),
    Call("enrollments.for_pair", lambda w: w.c.enrollments.for_pair(w.student, w.course)),
    *pages(
        "enrollments.for_user",
        lambda w, after: w.c.enrollments.for_user(w.student, limit=LIMIT, after=after),
        **LOOKED_UP,
    ),
    *pages(
        "enrollments.for_user",
        lambda w, after: w.c.enrollments.for_user(w.student, completed=False, limit=1, after=after),
        "not completed",
        **LOOKED_UP,
    ),
    Call(
        "enrollments.for_user",
        lambda w: w.c.enrollments.for_user(w.student, completed=True, limit=1),
        "completed",
        **LOOKED_UP,
    ),
    *pages("enrollments.in_course", lambda w, after: w.c.enrollments.in_course(w.course, limit=LIMIT, after=after)),
    Call(
        "enrollments.open_lesson",
        _opened,
        before=_enrolled,
    ),
    Call("enrollments.resume", lambda w, user: w.c.enrollments.resume(user, w.course), before=_enrolled, **LESSONS),
    Call(
        "enrollments.resume",
        lambda w, user: w.c.enrollments.resume(user, w.course),
        "none",
        before=_newcomer,
        **LESSONS,
    ),
]


PROGRESS = [
    Call(
        "lesson_progress.complete",
        lambda w, found: w.c.lesson_progress.complete(*found),
        before=_nearly_done,
        **LESSONS,
    ),
    Call(
        "lesson_progress.complete",
        lambda w, found: w.c.lesson_progress.complete(*found, **BOTH),
        "rewarded",
        before=_first_lesson,
        **LESSONS,
    ),
    Call(
        "lesson_progress.complete",
        lambda w, found: w.c.lesson_progress.complete(*found, **BOTH),
        "completes the course, and reaches a level",
        before=_nearly_done,
        **LESSONS,
    ),
    Call(
        "lesson_progress.complete",
        lambda w, found: w.c.lesson_progress.complete(found["userId"], found["lessonId"]),
        "again",
        before=lambda w: w.one("lessonProgress", lessonId=w.lesson),
        **LESSONS,
    ),
    Call(
        "lesson_progress.reopen",
        lambda w, found: w.c.lesson_progress.reopen(found["userId"], found["lessonId"]),
        before=lambda w: w.one("lessonProgress", lessonId=w.lesson),
    ),
    Call(
        "lesson_progress.reopen", lambda w, user: w.c.lesson_progress.reopen(user, w.lesson), "none", before=_newcomer
    ),
    Call(
        "lesson_progress.delete",
        lambda w, found: w.c.lesson_progress.delete(found["_id"]),
        before=lambda w: w.one("lessonProgress", lessonId=w.lesson),
    ),
    Call("lesson_progress.of_course", lambda w: w.c.lesson_progress.of_course(w.learner, w.course), **LESSONS),
    Call(
        "lesson_progress.of_courses", lambda w, ids: w.c.lesson_progress.of_courses(w.learner, ids), before=_course_ids
    ),
    *pages("lesson_progress.by_lesson", lambda w, after: w.c.lesson_progress.by_lesson(w.lesson, limit=1, after=after)),
]

CALLS = [*COURSES, *ENROLLMENTS, *PROGRESS]
