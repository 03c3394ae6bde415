"""Enrollments of users in courses."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from operator import itemgetter
from typing import Any, TypeAlias

from pymongo import ReturnDocument

from datalayer.documents.courses import Course
from datalayer.documents.enrollments import Enrollment, LessonProgress
from datalayer.documents.users import User
from datalayer.engine.boundary import Cursor, Limit
from datalayer.engine.collection import insert_all
from datalayer.engine.connection import Connection
from datalayer.engine.group_commit import GroupCommit
from datalayer.engine.pages import Page
from datalayer.engine.repository import ALIVE, AT_ONCE, Repository, lookup_alive, not_found
from datalayer.errors import CourseNotOpenError, NotEnrolledError
from datalayer.ids import CourseId, EnrollmentId, LessonId, UserId
from datalayer.repositories.shared.awards import Cause
from datalayer.repositories.shared.consequences import Act, Wanted, bring_about
from datalayer.repositories.shared.curriculum import course_with, curriculum_of, done_among

_PAIR_INDEX = "by_userId_and_courseId"


@dataclass(frozen=True, slots=True)
class EnrollResult:
    """The result of `enroll`.

    Attributes:
        enrollment: The user's enrollment in the course.
        newly: `True` if this call created it.
    """

    enrollment: Enrollment
    newly: bool


_Request: TypeAlias = tuple[UserId, Wanted]


class Enrollments(Repository[Enrollment, EnrollmentId]):
    """Enrollments of users in courses.

    The course's `enrollmentCount` is updated in the same transaction. Concurrent enrollments in one course in one
    process share transactions. Inside `transaction` they belong to the open transaction.
    """

    document = Enrollment

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self._groups = GroupCommit[CourseId, _Request, EnrollResult](
            connection, self._apply, lambda course_id: [(Course.Settings.name, course_id)]
        )

    async def enroll(
        self, user_id: UserId, course_id: CourseId, *, reward: bool = False, notify: bool = False
    ) -> EnrollResult:
        """Enroll a user in a course. Idempotent, also after the course was unpublished.

        Args:
            user_id: The user.
            course_id: The course.
            reward: Award the user the points for `enroll`, once per course.
            notify: Notify the user if those points lead to a new level (`level_up`).

        Raises:
            CourseNotOpenError: The course is not published.
            NotFoundError: The user or course does not exist, or the course is deleted.

        Cost: one transaction, 4 round trips; index by_userId_and_courseId; concurrent enrollments in the course share
        it. It takes 8 round trips with `reward` (indexes by_action, by_threshold, by_userId_and_action_and_reference),
        9 if that leads to a notification.
        """
        return await self._groups.submit(course_id, (user_id, Wanted(reward, notify)))

    async def withdraw(self, user_id: UserId, course_id: CourseId) -> bool:
        """Remove the user's enrollment in the course, together with the progress in it. Idempotent.

        Returns:
            `False` if the user was not enrolled.

        Cost: one transaction, 5 round trips, 2 if the user was not enrolled; indexes by_userId_and_courseId,
        by_courseId_and_order, by_moduleId_and_order, by_userId_and_lessonId.
        """
        return await self._connection.transaction(
            partial(self._remove, {"userId": user_id, "courseId": course_id}, _PAIR_INDEX)
        )

    async def delete(self, id: EnrollmentId) -> None:
        """Delete the enrollment, together with the user's progress in the course.

        Raises:
            NotFoundError: The enrollment does not exist.

        Cost: one transaction, 5 round trips; indexes by_courseId_and_order, by_moduleId_and_order,
        by_userId_and_lessonId.
        """
        if not await self._connection.transaction(partial(self._remove, {"_id": id}, "_id_")):
            raise not_found(Enrollment, id)

    async def for_pair(self, user_id: UserId, course_id: CourseId) -> Enrollment | None:
        """Return the user's enrollment in the course, or `None`.

        Cost: 1 round trip; index by_userId_and_courseId.
        """
        return await self._one({"userId": user_id, "courseId": course_id}, hint=_PAIR_INDEX)

    async def for_user(
        self, user_id: UserId, *, completed: bool | None = None, limit: Limit = 20, after: Cursor | None = None
    ) -> Page[Enrollment]:
        """Return a page of the user's enrollments, newest first, without those in deleted courses.

        Args:
            user_id: The user.
            completed: `True` for completed courses only, `False` for the others only, `None` for all.
            limit: The page size.
            after: The cursor of the previous page.

        Cost: 1 round trip, more if many enrollments around the page are in deleted courses; indexes by_userId and, on
        the courses, `_id`. With `completed` it also reads the user's other enrollments in between.
        """
        of_state = {} if completed is None else {"completedAt": {"$ne": None} if completed else None}
        filter, lookups = {"userId": user_id, **of_state}, [{"$lookup": _ALIVE_COURSE}]
        return await self._filtered_page(filter, "by_userId", lookups, itemgetter("course"), limit=limit, after=after)

    async def in_course(
        self, course_id: CourseId, *, limit: Limit = 20, after: Cursor | None = None
    ) -> Page[Enrollment]:
        """Return a page of the course's enrollments, newest first, also while the course is deleted.

        Cost: 1 round trip; index by_courseId.
        """
        return await self._page({"courseId": course_id}, "by_courseId", limit, after)

    async def open_lesson(self, user_id: UserId, lesson_id: LessonId) -> Enrollment:
        """Record that the user opened the lesson, so that `resume` returns to it.

        Raises:
            NotEnrolledError: The user is not enrolled in the lesson's course.
            NotFoundError: The lesson does not exist, or its course is deleted.

        Cost: one transaction, 3 round trips; index by_userId_and_courseId.
        """

        async def work() -> Enrollment:
            # Read in the snapshot of the write: a removal of the lesson also writes to the enrollment.
            pair = {"userId": user_id, "courseId": await course_with(self._connection, lesson_id)}
            wire = await self._collection.find_one_and_update(
                pair, {"$set": {"lastLessonId": lesson_id}}, return_document=ReturnDocument.AFTER, hint=_PAIR_INDEX
            )
            if wire is None:
                raise NotEnrolledError
            return self.document.from_wire(wire)

        return await self._connection.transaction(work)

    async def resume(self, user_id: UserId, course_id: CourseId) -> LessonId | None:
        """Return the lesson to continue with.

        This is the last opened lesson unless it is done, else the first lesson in course order that is not done, else
        the last opened one.

        Returns:
            The lesson's id, or `None` if the user is not enrolled or no lesson qualifies.

        Raises:
            NotFoundError: The course does not exist or is deleted.

        Cost: 3 round trips; indexes by_courseId_and_order, by_moduleId_and_order, by_userId_and_courseId,
        by_userId_and_lessonId.
        """
        async with self._connection.snapshot():
            course = await curriculum_of(self._connection, course_id)
            enrollment = await self.for_pair(user_id, course_id)
            if enrollment is None:
                return None
            done = await done_among(self._connection, user_id, course.lesson_ids)
        last = enrollment.last_lesson_id
        if last not in course.lesson_ids:
            # The lesson was just removed, and this enrollment is not updated yet.
            last = None
        if last is not None and last not in done:
            return last
        return next((id for id in course.lesson_ids if id not in done), last)

    async def _remove(self, filter: Mapping[str, Any], index: str) -> bool:
        """Remove the enrollment that matches the filter, if any. Runs in a transaction."""
        wire = await self._collection.find_one_and_delete(filter, hint=index)
        if wire is None:
            return False
        user_id, course_id = wire["userId"], wire["courseId"]
        # Deleted courses too: they keep their enrollments, so their counter must stay correct.
        await self._of(Course).update_one({"_id": course_id}, {"$inc": {"enrollmentCount": -1}})
        course = await curriculum_of(self._connection, course_id, include_deleted=True)
        progress = {"userId": user_id, "lessonId": {"$in": course.lesson_ids}}
        await self._of(LessonProgress).delete_many(progress, hint="by_userId_and_lessonId")
        return True

    async def _apply(self, course_id: CourseId, requests: Sequence[_Request]) -> Sequence[EnrollResult | Exception]:
        """Enroll the users. Runs in a transaction."""
        status, users = await self._state(course_id, [user_id for user_id, _ in requests])
        now = self._now()
        answers: list[EnrollResult | Exception] = []
        new: dict[UserId, Enrollment] = {}
        acts: list[Act] = []
        for user_id, wanted in requests:
            if user_id not in users:
                answers.append(not_found(User, user_id))
            elif status is None:
                answers.append(not_found(Course, course_id))
            elif (wire := users[user_id]) is not None:
                answers.append(EnrollResult(self.document.from_wire(wire), newly=False))
            elif user_id in new:
                answers.append(EnrollResult(new[user_id].model_copy(), newly=False))
            elif status != "published":
                answers.append(CourseNotOpenError())
            else:
                new[user_id] = self.document(course_id=course_id, user_id=user_id, enrolled_at=now)
                answers.append(EnrollResult(new[user_id], newly=True))
                acts.append(Act(wanted, [Cause(user_id, "enroll", "course", str(course_id))]))
        if new:
            # The first write, because it conflicts with other processes and with removals of lessons.
            await self._of(Course).update_one({"_id": course_id}, {"$inc": {"enrollmentCount": len(new)}})
            await insert_all(self._collection, [enrollment.to_wire() for enrollment in new.values()])
        await bring_about(self._connection, acts)
        return answers

    async def _state(
        self, course_id: CourseId, user_ids: Sequence[UserId]
    ) -> tuple[str | None, dict[UserId, dict[str, Any] | None]]:
        """Return the course's status, or `None` if it is missing, and the existing users with their enrollments."""
        enrollment = {
            "from": "enrollments",
            "localField": "_id",
            "foreignField": "userId",
            # A lookup takes no hint. The sort changes nothing, but makes the server choose by_userId_and_courseId.
            "pipeline": [{"$match": {"courseId": course_id}}, {"$sort": {"courseId": 1}}],
            "as": "enrollments",
        }
        # Uncorrelated: it uses nothing from the user, so the server runs it once.
        course = {
            "from": "courses",
            "pipeline": [{"$match": {"_id": course_id, **ALIVE}}, {"$project": {"status": 1}}],
            "as": "course",
        }
        users = [{"$match": {"_id": {"$in": list(set(user_ids))}}}, {"$project": {"_id": 1}}]
        cursor = await self._of(User).aggregate(
            [*users, {"$lookup": enrollment}, {"$lookup": course}], batchSize=AT_ONCE
        )
        found = await cursor.to_list()
        status = next((course["status"] for user in found for course in user["course"]), None)
        return status, {user["_id"]: next(iter(user["enrollments"]), None) for user in found}


_ALIVE_COURSE = lookup_alive(Course, "courseId", "course")
