"""The users' progress in their courses."""

from dataclasses import dataclass
from typing import Any

from datalayer.documents.enrollments import Enrollment, LessonProgress
from datalayer.engine.boundary import AnyCollection, Cursor, Limit
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
    """The changes that completing a lesson has made.

    Attributes:
        newly_completed: `True` if the lesson was not done before.
        course_completed: `True` if this call completed the course.
    """

    newly_completed: bool
    course_completed: bool


@dataclass(frozen=True, slots=True)
class CourseProgress:
    """A user's progress in a course.

    Attributes:
        completed: The number of lessons done.
        total: The number of lessons.
        percent: 0 to 100, rounded down; 0 if the course has no lessons.
        lesson_ids: The lessons done.
    """

    completed: int
    total: int
    percent: int
    lesson_ids: set[LessonId]


class Progress(Repository[LessonProgress, LessonProgressId]):
    """The lessons that users have done.

    The enrollment's `completedAt` is updated in the same transaction. Every change of a user's progress writes to the
    enrollment, so that concurrent transactions of one user conflict. No document that several users share is written.
    """

    document = LessonProgress

    async def complete(
        self, user_id: UserId, lesson_id: LessonId, *, reward: bool = False, notify: bool = False
    ) -> Completion:
        """Mark a lesson as done. Idempotent. The last lesson completes the course.

        Args:
            user_id: The user.
            lesson_id: The lesson.
            reward: Award the user the points for `lesson_complete`, and with the last lesson those for
                `course_complete`; once per lesson and course.
            notify: Notify the user if those points lead to a new level (`level_up`).

        Raises:
            NotEnrolledError: The user is not enrolled in the lesson's course.
            NotFoundError: The lesson does not exist, or its course is deleted.

        Cost: one transaction, 5 round trips, 3 if the lesson was already done; indexes by_courseId_and_order,
        by_moduleId_and_order, by_userId_and_lessonId, by_userId_and_courseId. It takes 9 round trips with `reward`
        (indexes by_action, by_threshold, by_userId_and_action_and_reference), 10 if that leads to a notification.
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
        """Mark a lesson as not done, and with it the course as not completed. Idempotent.

        Returns:
            `False` if the lesson was not done. In this case nothing changes.

        Raises:
            NotFoundError: The lesson does not exist, or its course is deleted.

        Cost: one transaction, 4 round trips; indexes by_userId_and_lessonId and by_userId_and_courseId.
        """

        async def work() -> bool:
            course_id = await course_with(self._connection, lesson_id)
            done = {"userId": user_id, "lessonId": lesson_id}
            return await self._remove(done, "by_userId_and_lessonId", user_id, course_id)

        return await self._connection.transaction(work)

    async def delete(self, id: LessonProgressId) -> None:
        """Delete the entry: the lesson is not done any more, and the course is not completed.

        Raises:
            NotFoundError: The entry does not exist.

        Cost: one transaction, 5 round trips; index by_userId_and_courseId.
        """

        async def work() -> None:
            progress = self._found(await self._one({"_id": id}), id)
            course_id = await course_with(self._connection, progress.lesson_id, include_deleted=True)
            await self._remove({"_id": id}, "_id_", progress.user_id, course_id)

        await self._connection.transaction(work)

    async def of_course(self, user_id: UserId, course_id: CourseId) -> CourseProgress:
        """Return the user's progress in the course. It is 0 if the user is not enrolled.

        Raises:
            NotFoundError: The course does not exist or is deleted.

        Cost: 2 round trips; indexes by_courseId_and_order, by_moduleId_and_order, by_userId_and_lessonId.
        """
        async with self._connection.snapshot():
            course = await curriculum_of(self._connection, course_id)
            done = await done_among(self._connection, user_id, course.lesson_ids)
        return _progress(course, done)

    async def of_courses(self, user_id: UserId, course_ids: AnyCollection[CourseId]) -> dict[CourseId, CourseProgress]:
        """Return the user's progress in each of the courses, without those that are missing or deleted.

        Cost: 4 round trips for any number of courses; indexes by_courseId_and_order, by_moduleId_and_order,
        by_userId_and_lessonId, all of them covering, and `_id` for the courses.
        """
        async with self._connection.snapshot():
            courses = await curricula_of(self._connection, course_ids)
            lesson_ids = [id for course in courses for id in course.lesson_ids]
            done = await done_among(self._connection, user_id, lesson_ids)
        return {course.course_id: _progress(course, done.intersection(course.lesson_ids)) for course in courses}

    async def by_lesson(
        self, lesson_id: LessonId, *, limit: Limit = 20, after: Cursor | None = None
    ) -> Page[LessonProgress]:
        """Return a page of the entries of users who have done the lesson, newest first.

        Cost: 1 round trip; index by_lessonId.
        """
        return await self._page({"lessonId": lesson_id}, "by_lessonId", limit, after)

    async def _remove(self, filter: dict[str, Any], index: str, user_id: UserId, course_id: CourseId) -> bool:
        """Remove the progress that matches the filter, if any. Runs in a transaction."""
        if (await self._collection.delete_one(filter, hint=index)).deleted_count == 0:
            return False
        reopened = {**LOCK, "$unset": {"completedAt": ""}}
        pair = {"userId": user_id, "courseId": course_id}
        await self._of(Enrollment).update_one(pair, reopened, hint="by_userId_and_courseId")
        return True


def _completed(now: int) -> list[dict[str, Any]]:
    """Return an update that locks like `LOCK`, and sets `completedAt` unless it is set already."""
    revision = {"$add": [{"$ifNull": ["$revision", 0]}, 1]}
    return [{"$set": {"revision": revision, "completedAt": {"$ifNull": ["$completedAt", now]}}}]


def _progress(course: Curriculum, done: set[LessonId]) -> CourseProgress:
    total = len(course.lesson_ids)
    return CourseProgress(len(done), total, 100 * len(done) // total if total else 0, done)
