"""The lessons of courses, and which of them a user has done."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from datalayer.documents.courses import Course, Lesson, Module
from datalayer.documents.enrollments import LessonProgress
from datalayer.engine.connection import Connection
from datalayer.engine.document import Document
from datalayer.engine.repository import ALIVE, AT_ONCE, not_found
from datalayer.ids import CourseId, LessonId, ModuleId, UserId

Stages = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Curriculum:
    """A course and its lessons, in course order."""

    course_id: CourseId
    lesson_ids: list[LessonId]


_IDS_IN_ORDER: Stages = [{"$sort": {"order": 1, "_id": 1}}, {"$project": {"_id": 1}}]

_LESSONS = {
    "from": "lessons",
    "localField": "_id",
    "foreignField": "moduleId",
    "pipeline": _IDS_IN_ORDER,
    "as": "lessons",
}
_MODULES = {
    "from": "modules",
    "localField": "_id",
    "foreignField": "courseId",
    "pipeline": [*_IDS_IN_ORDER, {"$lookup": _LESSONS}],
    "as": "modules",
}
_LESSON_IDS: Stages = [{"$lookup": _MODULES}, {"$project": {"modules.lessons._id": 1}}]

_COURSE_OF_LESSON: Stages = [
    {"$lookup": {"from": "modules", "localField": "moduleId", "foreignField": "_id", "as": "module"}},
    {"$lookup": {"from": "courses", "localField": "module.courseId", "foreignField": "_id", "as": "course"}},
    {"$unwind": "$course"},
    {"$replaceWith": "$course"},
]


async def curriculum_of(connection: Connection, course_id: CourseId, *, include_deleted: bool = False) -> Curriculum:
    """Return the course's lessons.

    1 round trip: one seek in by_courseId_and_order, and one in by_moduleId_and_order per module.

    Raises:
        NotFoundError: The course does not exist or is deleted.
    """
    filter = {"_id": course_id, **({} if include_deleted else ALIVE)}
    found = await _first(connection, Course, [{"$match": filter}, *_LESSON_IDS])
    if found is None:
        raise not_found(Course, course_id)
    return _curriculum(found)


async def curriculum_with(connection: Connection, lesson_id: LessonId) -> Curriculum:
    """Return the lessons of the course that contains this lesson. 1 round trip, like `curriculum_of`.

    Raises:
        NotFoundError: The lesson does not exist, or its course is deleted.
    """
    lesson: Stages = [{"$match": {"_id": lesson_id}}, *_COURSE_OF_LESSON, {"$match": ALIVE}]
    found = await _first(connection, Lesson, [*lesson, *_LESSON_IDS])
    if found is None:
        raise not_found(Lesson, lesson_id)
    return _curriculum(found)


async def course_with(connection: Connection, lesson_id: LessonId, *, include_deleted: bool = False) -> CourseId:
    """Return the course that contains this lesson. 1 round trip, three seeks by `_id`.

    Raises:
        NotFoundError: The lesson does not exist, or its course is deleted.
    """
    lesson: Stages = [{"$match": {"_id": lesson_id}}, *_COURSE_OF_LESSON, {"$project": {"deletedAt": 1}}]
    found = await _first(connection, Lesson, lesson)
    if found is None or ("deletedAt" in found and not include_deleted):
        raise not_found(Lesson, lesson_id)
    return found["_id"]


async def curricula_of(connection: Connection, course_ids: Collection[CourseId]) -> list[Curriculum]:
    """Return the lessons of those courses that exist.

    3 round trips; indexes by_courseId_and_order and by_moduleId_and_order. For many courses this is faster than
    server-side lookups of the modules and lessons of each.
    """
    among = {"_id": {"$in": list(course_ids)}, **ALIVE}
    courses = await connection.collection(Course).find(among, {"_id": 1}, batch_size=AT_ONCE).to_list()
    lessons: dict[CourseId, list[LessonId]] = {course["_id"]: [] for course in courses}
    modules = await _children(connection, Module, "courseId", list(lessons))
    of_module: dict[ModuleId, list[LessonId]] = {module["_id"]: lessons[module["courseId"]] for module in modules}
    for lesson in await _children(connection, Lesson, "moduleId", list(of_module)):
        of_module[lesson["moduleId"]].append(lesson["_id"])
    return [Curriculum(course_id, ids) for course_id, ids in lessons.items()]


async def done_among(connection: Connection, user_id: UserId, lesson_ids: Collection[LessonId]) -> set[LessonId]:
    """Return those of the lessons that the user has done. 1 round trip; covered by index by_userId_and_lessonId."""
    filter = {"userId": user_id, "lessonId": {"$in": list(lesson_ids)}}
    cursor = connection.collection(LessonProgress).find(
        filter, {"_id": 0, "lessonId": 1}, hint="by_userId_and_lessonId", batch_size=AT_ONCE
    )
    return {wire["lessonId"] for wire in await cursor.to_list()}


async def _first(connection: Connection, document: type[Document], pipeline: Stages) -> dict[str, Any] | None:
    found = await (await connection.collection(document).aggregate(pipeline)).to_list()
    return found[0] if found else None


def _curriculum(course: Mapping[str, Any]) -> Curriculum:
    lessons = [lesson["_id"] for module in course["modules"] for lesson in module["lessons"]]
    return Curriculum(course["_id"], lessons)


async def _children(
    connection: Connection, document: type[Document], parent: str, parent_ids: Sequence[Any]
) -> list[dict[str, Any]]:
    """Return the children of the parents, each parent's in order. Covered by the index on the parent and the order."""
    cursor = connection.collection(document).find(
        {parent: {"$in": parent_ids}},
        {parent: 1},
        sort={parent: 1, "order": 1, "_id": 1},
        hint=f"by_{parent}_and_order",
        batch_size=AT_ONCE,
    )
    return await cursor.to_list()
