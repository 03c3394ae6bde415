"""The consequences of deleting lessons: their progress, and references in every enrollment of the course."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeAlias

from bson import ObjectId
from pymongo import ReturnDocument

from datalayer.documents.courses import Course
from datalayer.documents.enrollments import Enrollment, LessonProgress
from datalayer.engine.batches import at_once_or_in_batches
from datalayer.engine.collection import LOCK
from datalayer.engine.connection import Collection, Connection
from datalayer.engine.document import Document
from datalayer.engine.repository import AT_ONCE, not_found
from datalayer.ids import CourseId, LessonId
from datalayer.repositories.shared.curriculum import Stages, curriculum_of

Remove: TypeAlias = Callable[[], Awaitable[tuple[CourseId, Sequence[LessonId]] | None]]
"""Removes a lesson, or a module with its lessons, in a transaction. Returns the course and the lessons.

Returns `None` if there is nothing to remove.
"""


class RemovalFromCourse:
    """The deletion of a lesson or module, with the updates of every enrollment of the course.

    It writes to the course, so it conflicts with a concurrent enrollment. It also writes to every enrollment, as
    completing a lesson does, while users who complete lessons do not conflict with each other. If that is too much for
    one transaction, the lessons are deleted first and noted in the course's `removing`, and the enrollments follow in
    batches. An interrupted deletion is finished by another call, or by the next deletion in the course.

    Args:
        connection: The connection.
        document: `Lesson` or `Module`.
        id: The id of the lesson or module.
        remove: Removes it.
    """

    def __init__(self, connection: Connection, document: type[Document], id: ObjectId, remove: Remove) -> None:
        self._connection, self._document, self._id, self._remove = connection, document, id, remove
        # Set by each attempt.
        self._course_id: CourseId
        self._gone: list[LessonId]

    async def run(self) -> None:
        """Delete the lesson or module.

        Raises:
            NotFoundError: It does not exist, and nothing of it is left.
            IncompleteError: It is deleted, but not all enrollments are updated.
        """
        batches = [self._forget_batch, self._progress_batch, self._finish]
        await at_once_or_in_batches(self._connection, self._at_once, self._begin, batches)

    async def _at_once(self) -> None:
        """6 or 7 round trips on top of the removal, 1 without lessons."""
        interrupted = await self._removed(mark=False)
        if self._gone:
            await self._forget({"courseId": self._course_id}, "by_courseId")
            await self._progress.delete_many({"lessonId": {"$in": self._gone}}, hint="by_lessonId")
        if interrupted:
            await self._finish(None, 0)

    async def _begin(self) -> None:
        await self._removed(mark=True)

    async def _removed(self, *, mark: bool) -> bool:
        """Remove it and write to the course. Returns whether the course has traces of an interrupted deletion."""
        removed = await self._remove()
        if removed is None:
            found = await self._courses.find_one({"removing": self._id}, {"removing": 1}, hint="by_removing")
            if found is None:
                raise not_found(self._document, self._id)
            self._course_id, lessons = found["_id"], list[LessonId]()
        else:
            self._course_id, lessons = removed[0], list(removed[1])
        noted = {"$addToSet": {"removing": {"$each": [self._id, *lessons]}}} if mark else {}
        course: Mapping[str, Any] | None = await self._courses.find_one_and_update(
            {"_id": self._course_id},
            {**LOCK, **noted},
            {"removing": 1},
            return_document=ReturnDocument.AFTER,
        )
        removing = (course or {}).get("removing", [])
        # Includes the module's own id, which matches no lesson.
        self._gone = list(dict.fromkeys([*lessons, *removing]))
        return bool(removing)

    async def _forget(self, filter: Mapping[str, Any], index: str) -> None:
        """Remove the lessons from these enrollments, and complete those enrollments that missed nothing else."""
        enrollments = self._enrollments
        await enrollments.update_many(filter, LOCK, hint=index)
        last = {**filter, "lastLessonId": {"$in": self._gone}}
        await enrollments.update_many(last, {"$unset": {"lastLessonId": ""}}, hint=index)
        course = await curriculum_of(self._connection, self._course_id, include_deleted=True)
        if course.lesson_ids:
            cursor = await enrollments.aggregate(_complete(filter, course.lesson_ids), hint=index, batchSize=AT_ONCE)
            completed = [wire["_id"] for wire in await cursor.to_list()]
            now = self._connection.now()
            await enrollments.update_many({"_id": {"$in": completed}}, {"$set": {"completedAt": now}})

    async def _forget_batch(self, after: ObjectId | None, size: int) -> Sequence[ObjectId]:
        of_course = {"courseId": self._course_id, **({} if after is None else {"_id": {"$gt": after}})}
        found = self._enrollments.find(of_course, {"_id": 1}, limit=size, batch_size=AT_ONCE, hint="by_courseId")
        ids = [wire["_id"] for wire in await found.to_list()]
        if ids:
            await self._forget({"_id": {"$in": ids}}, "_id_")
        return ids

    async def _progress_batch(self, _after: ObjectId | None, size: int) -> Sequence[ObjectId]:
        of_lessons = {"lessonId": {"$in": self._gone}}
        found = self._progress.find(of_lessons, {"_id": 1}, limit=size, batch_size=AT_ONCE, hint="by_lessonId")
        ids = [wire["_id"] for wire in await found.to_list()]
        await self._progress.delete_many({"_id": {"$in": ids}})
        return ids

    async def _finish(self, _after: ObjectId | None, _size: int) -> Sequence[ObjectId]:
        """Record that every enrollment is updated."""
        own = {"_id": self._course_id}
        await self._courses.update_one(own, {"$pullAll": {"removing": self._gone}})
        await self._courses.update_one({**own, "removing": []}, {"$unset": {"removing": ""}})
        return []

    # Properties, because each transaction has its own collection objects.
    @property
    def _courses(self) -> Collection:
        return self._connection.collection(Course)

    @property
    def _enrollments(self) -> Collection:
        return self._connection.collection(Enrollment)

    @property
    def _progress(self) -> Collection:
        return self._connection.collection(LessonProgress)


def _complete(filter: Mapping[str, Any], lesson_ids: Sequence[LessonId]) -> Stages:
    """Return a pipeline for those open enrollments whose users have done all of the lessons."""
    progress = {"from": "lessonProgress", "localField": "userId", "foreignField": "userId"}
    # Few users with an open course have done its last lesson: only their progress is counted.
    last = progress | {"pipeline": [{"$match": {"lessonId": lesson_ids[-1]}}, {"$project": {"_id": 1}}], "as": "last"}
    count = [{"$match": {"lessonId": {"$in": list(lesson_ids)}}}, {"$count": "lessons"}]
    return [
        {"$match": {**filter, "completedAt": None}},
        {"$lookup": last},
        {"$match": {"last": {"$ne": []}}},
        {"$lookup": progress | {"pipeline": count, "as": "done"}},
        {"$match": {"done.lessons": len(lesson_ids)}},
        {"$project": {"_id": 1}},
    ]
