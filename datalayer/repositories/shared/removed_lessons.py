"""What goes with lessons that are removed: their progress, and their traces in every enrollment of the course."""

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
"""Removes a lesson, or a module with its lessons, in a transaction; returns the course and the lessons.

`None` where there is nothing to remove.
"""


class RemovalFromCourse:
    """The removal of a lesson or a module, which every enrollment of the course follows.

    It writes to the course, so that an enrollment that is being made conflicts with it; and to every enrollment, as
    does a lesson that is being completed, while users who complete lessons do not conflict with each other. Where that
    is too much for one transaction the lessons go first, are noted in the course's `removing`, and the enrollments
    follow in batches. What an interruption leaves is completed by calling it again, or by the next removal in the
    course.

    Args:
        connection: Where.
        document: `Lesson` or `Module`.
        id: The lesson's or the module's id.
        remove: Removes it.
    """

    def __init__(self, connection: Connection, document: type[Document], id: ObjectId, remove: Remove) -> None:
        self._connection, self._document, self._id, self._remove = connection, document, id, remove
        # Found by each attempt.
        self._course_id: CourseId
        self._gone: list[LessonId]

    async def run(self) -> None:
        """Remove it.

        Raises:
            NotFoundError: There is no such lesson or module, and nothing is left of it.
            IncompleteError: It is removed, but not every enrollment has followed.
        """
        batches = [self._forget_batch, self._progress_batch, self._finish]
        await at_once_or_in_batches(self._connection, self._at_once, self._begin, batches)

    async def _at_once(self) -> None:
        """6 or 7 round trips beyond the removal, 1 without lessons."""
        interrupted = await self._removed(mark=False)
        if self._gone:
            await self._forget({"courseId": self._course_id}, "by_courseId")
            await self._progress.delete_many({"lessonId": {"$in": self._gone}}, hint="by_lessonId")
        if interrupted:
            await self._finish(None, 0)

    async def _begin(self) -> None:
        await self._removed(mark=True)

    async def _removed(self, *, mark: bool) -> bool:
        """Remove it and write to the course; whether the course has traces of an interrupted removal."""
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
        # Among them is the module's own id, which is no lesson's.
        self._gone = list(dict.fromkeys([*lessons, *removing]))
        return bool(removing)

    async def _forget(self, filter: Mapping[str, Any], index: str) -> None:
        """Let these enrollments forget the lessons, and complete them where nothing else was missing."""
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
        """Note that every enrollment has followed."""
        own = {"_id": self._course_id}
        await self._courses.update_one(own, {"$pullAll": {"removing": self._gone}})
        await self._courses.update_one({**own, "removing": []}, {"$unset": {"removing": ""}})
        return []

    # Asked for anew in each transaction, which has collections of its own.
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
    """Those of the enrollments that are not completed, of users who have done all these lessons."""
    progress = {"from": "lessonProgress", "localField": "userId", "foreignField": "userId"}
    # Few who have not completed a course have done its last lesson, and only theirs are counted.
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
