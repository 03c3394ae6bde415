"""How far the users are in their courses."""

from dataclasses import dataclass
from typing import Any

from datalayer.documents.enrollments import Enrollment, LessonProgress
from datalayer.engine.boundary import Cursor, Limit, Many
from datalayer.engine.collection import LOCK
from datalayer.engine.pages import Page
from datalayer.engine.repository import Repository
from datalayer.errors import NotEnrolledError
from datalayer.ids import CourseId, LessonId, LessonProgressId, UserId
from datalayer.repositories.shared.awards import Cause
from datalayer.repositories.shared.consequences import Act, Wanted, bring_about
from datalayer.repositories.shared.curriculum import (
    Curriculum,
    course_with,
    curricula_of,
    curriculum_of,
    curriculum_with,
    done_among,
)


@dataclass(frozen=True, slots=True)
class Completion:
    """What completing a lesson has changed.

    Attributes:
        newly_completed: The lesson was not done before.
        course_completed: The course was not completed before, and is now.
    """

    newly_completed: bool
    course_completed: bool


@dataclass(frozen=True, slots=True)
class CourseProgress:
    """How far a user is in a course.

    Attributes:
        completed: How many lessons are done.
        total: How many there are.
        percent: 0 to 100, rounded down; 0 where there are none.
        lesson_ids: Those that are done.
    """

    completed: int
    total: int
    percent: int
    lesson_ids: set[LessonId]


class Progress(Repository[LessonProgress, LessonProgressId]):
    """Which lessons are done. The enrollment's `completedAt` follows in the same transaction.

    What changes a user's progress writes to the enrollment, so that two such transactions of one user conflict. Nothing
    that several users share is written to.
    """

    document = LessonProgress

    async def complete(
        self, user_id: UserId, lesson_id: LessonId, *, reward: bool = False, notify: bool = False
    ) -> Completion:
        """Note that the user has done the lesson; safe to repeat. With the last one the course is completed.

        A transaction of 5 round trips, of 3 where it was done before: the course's lessons by by_courseId_and_order and
        by_moduleId_and_order, those done by by_userId_and_lessonId, and by_userId_and_courseId. It has
        9 round trips with `reward`, by_action, by_threshold and by_userId_and_action_and_reference, 10 where that leads
        to a notification.

        Args:
            user_id: Who.
            lesson_id: What they have done.
            reward: Give the user the points of `lesson_complete`, and of `course_complete` with the last lesson; once
                for the lesson and the course.
            notify: Tell the user of a level that they reach by that (`level_up`).

        Raises:
            NotEnrolledError: The user is not enrolled in the lesson's course.
            NotFoundError: There is no such lesson, or its course is deleted.
        """

        async def work() -> Completion:
            course = await curriculum_with(self._connection, lesson_id)
            done = await done_among(self._connection, user_id, course.lesson_ids)
            if lesson_id in done:
                return Completion(newly_completed=False, course_completed=False)
            is_last, now = len(done) + 1 == len(course.lesson_ids), self._now()
            enrollment = await self._of(Enrollment).find_one_and_update(
                {"userId": user_id, "courseId": course.course_id},
                _completed(now) if is_last else LOCK,
                hint="by_userId_and_courseId",
            )
            if enrollment is None:
                raise NotEnrolledError
            await self._insert(self.document(lesson_id=lesson_id, user_id=user_id, completed_at=now))
            completed = Completion(newly_completed=True, course_completed=is_last and "completedAt" not in enrollment)
            causes = [Cause(user_id, "lesson_complete", "lesson", str(lesson_id))]
            if completed.course_completed:
                causes.append(Cause(user_id, "course_complete", "course", str(course.course_id)))
            await bring_about(self._connection, [Act(Wanted(reward, notify), causes)])
            return completed

        return await self._connection.transaction(work)

    async def reopen(self, user_id: UserId, lesson_id: LessonId) -> bool:
        """Take back that the user has done the lesson, and so the course; whether it was done.

        Where it was not, nothing changes. A transaction of 4 round trips, by_userId_and_lessonId and
        by_userId_and_courseId.

        Raises:
            NotFoundError: There is no such lesson, or its course is deleted.
        """

        async def work() -> bool:
            course_id = await course_with(self._connection, lesson_id)
            done = {"userId": user_id, "lessonId": lesson_id}
            return await self._remove(done, "by_userId_and_lessonId", user_id, course_id)

        return await self._connection.transaction(work)

    async def delete(self, id: LessonProgressId) -> None:
        """Take back that a lesson is done, and so the course. A transaction of 5 round trips, by_userId_and_courseId.

        Raises:
            NotFoundError: There is none.
        """

        async def work() -> None:
            progress = self._found(await self._one({"_id": id}), id)
            course_id = await course_with(self._connection, progress.lesson_id, include_deleted=True)
            await self._remove({"_id": id}, "_id_", progress.user_id, course_id)

        await self._connection.transaction(work)

    async def of_course(self, user_id: UserId, course_id: CourseId) -> CourseProgress:
        """How far the user is in the course; who is not enrolled has done nothing.

        2 round trips: the course's lessons by by_courseId_and_order and by_moduleId_and_order, and
        by_userId_and_lessonId.

        Raises:
            NotFoundError: There is no such course.
        """
        async with self._connection.snapshot():
            course = await curriculum_of(self._connection, course_id)
            done = await done_among(self._connection, user_id, course.lesson_ids)
        return _progress(course, done)

    async def of_courses(self, user_id: UserId, course_ids: Many[CourseId]) -> dict[CourseId, CourseProgress]:
        """How far the user is in each of the courses that there are. 4 round trips, however many there are.

        Served by `_id`, by_courseId_and_order, by_moduleId_and_order and by_userId_and_lessonId, all of it but the
        courses from the indexes alone.
        """
        async with self._connection.snapshot():
            courses = await curricula_of(self._connection, course_ids)
            lesson_ids = [id for course in courses for id in course.lesson_ids]
            done = await done_among(self._connection, user_id, lesson_ids)
        return {course.course_id: _progress(course, done.intersection(course.lesson_ids)) for course in courses}

    async def by_lesson(
        self, lesson_id: LessonId, *, limit: Limit = 20, after: Cursor | None = None
    ) -> Page[LessonProgress]:
        """Who has done the lesson, newest first. One round trip, by_lessonId."""
        return await self._page({"lessonId": lesson_id}, "by_lessonId", limit, after)

    async def _remove(self, filter: dict[str, Any], index: str, user_id: UserId, course_id: CourseId) -> bool:
        """Remove the progress that the filter finds, if there is one. In a transaction."""
        if (await self._collection.delete_one(filter, hint=index)).deleted_count == 0:
            return False
        reopened = {**LOCK, "$unset": {"completedAt": ""}}
        pair = {"userId": user_id, "courseId": course_id}
        await self._of(Enrollment).update_one(pair, reopened, hint="by_userId_and_courseId")
        return True


def _completed(now: int) -> list[dict[str, Any]]:
    """The same lock, with `completedAt` where it is absent: a course that was completed before stays as it was."""
    revision = {"$add": [{"$ifNull": ["$revision", 0]}, 1]}
    return [{"$set": {"revision": revision, "completedAt": {"$ifNull": ["$completedAt", now]}}}]


def _progress(course: Curriculum, done: set[LessonId]) -> CourseProgress:
    total = len(course.lesson_ids)
    return CourseProgress(len(done), total, 100 * len(done) // total if total else 0, done)
