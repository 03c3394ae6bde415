"""Who takes which course."""

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
    """What `enroll` returns.

    Attributes:
        enrollment: The user's enrollment in the course.
        newly: Whether it was made by this call.
    """

    enrollment: Enrollment
    newly: bool


_Request: TypeAlias = tuple[UserId, Wanted]


class Enrollments(Repository[Enrollment, EnrollmentId]):
    """Who takes which course. The course's `enrollmentCount` follows in the same transaction.

    Concurrent enrollments in one course in one process share transactions; outside of `transaction`, that is: there
    they belong to the transaction that is open.
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
        """Enroll the user in the course; who is enrolled already stays so, also when the course is a draft again.

        A transaction of 4 round trips, by_userId_and_courseId, shared with who comes at once. It has 8 round trips with
        `reward`, by_action, by_threshold and by_userId_and_action_and_reference, 9 where that leads to a notification.

        Args:
            user_id: Who.
            course_id: In which course.
            reward: Give the user the points of `enroll`, once for the course.
            notify: Tell the user of a level that they reach by that (`level_up`).

        Raises:
            CourseNotOpenError: The course is not published.
            NotFoundError: There is no such user or course.
        """
        return await self._groups.submit(course_id, (user_id, Wanted(reward, notify)))

    async def withdraw(self, user_id: UserId, course_id: CourseId) -> bool:
        """Take the user out of the course, with the progress in it; whether the user was enrolled.

        A transaction of 5 round trips, of 2 where the user was not. Served by by_userId_and_courseId, the course's
        lessons by by_courseId_and_order and by_moduleId_and_order, and by_userId_and_lessonId.
        """
        return await self._connection.transaction(
            partial(self._remove, {"userId": user_id, "courseId": course_id}, _PAIR_INDEX)
        )

    async def delete(self, id: EnrollmentId) -> None:
        """Remove the enrollment with the progress that belongs to it. A transaction of 5 round trips.

        Served by by_courseId_and_order, by_moduleId_and_order and by_userId_and_lessonId.

        Raises:
            NotFoundError: There is none.
        """
        if not await self._connection.transaction(partial(self._remove, {"_id": id}, "_id_")):
            raise not_found(Enrollment, id)

    async def for_pair(self, user_id: UserId, course_id: CourseId) -> Enrollment | None:
        """The user's enrollment in the course. One round trip, by_userId_and_courseId."""
        return await self._one({"userId": user_id, "courseId": course_id}, hint=_PAIR_INDEX)

    async def for_user(
        self, user_id: UserId, *, completed: bool | None = None, limit: Limit = 20, after: Cursor | None = None
    ) -> Page[Enrollment]:
        """The user's enrollments in courses that are not deleted, newest first: the completed, the others, or all.

        One round trip, by_userId and the courses' `_id`; more where the page lies among many of deleted courses. It
        looks at the user's other enrollments between, too.
        """
        of_state = {} if completed is None else {"completedAt": {"$ne": None} if completed else None}
        filter, lookups = {"userId": user_id, **of_state}, [{"$lookup": _ALIVE_COURSE}]
        return await self._filtered_page(filter, "by_userId", lookups, itemgetter("course"), limit=limit, after=after)

    async def in_course(
        self, course_id: CourseId, *, limit: Limit = 20, after: Cursor | None = None
    ) -> Page[Enrollment]:
        """The course's enrollments, newest first; also while the course is deleted. One round trip, by_courseId."""
        return await self._page({"courseId": course_id}, "by_courseId", limit, after)

    async def open_lesson(self, user_id: UserId, lesson_id: LessonId) -> Enrollment:
        """Note that the user has opened the lesson, so that `resume` leads there.

        A transaction of 3 round trips, by_userId_and_courseId.

        Raises:
            NotEnrolledError: The user is not enrolled in the lesson's course.
            NotFoundError: There is no such lesson, or its course is deleted.
        """

        async def work() -> Enrollment:
            # In one snapshot with the write: a removal of the lesson writes to the enrollment as well.
            pair = {"userId": user_id, "courseId": await course_with(self._connection, lesson_id)}
            wire = await self._collection.find_one_and_update(
                pair, {"$set": {"lastLessonId": lesson_id}}, return_document=ReturnDocument.AFTER, hint=_PAIR_INDEX
            )
            if wire is None:
                raise NotEnrolledError
            return self.document.from_wire(wire)

        return await self._connection.transaction(work)

    async def resume(self, user_id: UserId, course_id: CourseId) -> LessonId | None:
        """The lesson to go on with; `None` for who is not enrolled, and where there is no lesson to name.

        The last one opened, if it is not done; else the first one not done, in the order of the course; else the last
        one opened. 3 round trips: the course's lessons by by_courseId_and_order and by_moduleId_and_order,
        by_userId_and_courseId, and by_userId_and_lessonId.

        Raises:
            NotFoundError: There is no such course.
        """
        async with self._connection.snapshot():
            course = await curriculum_of(self._connection, course_id)
            enrollment = await self.for_pair(user_id, course_id)
            if enrollment is None:
                return None
            done = await done_among(self._connection, user_id, course.lesson_ids)
        last = enrollment.last_lesson_id
        if last not in course.lesson_ids:
            # It was removed a moment ago.
            last = None
        if last is not None and last not in done:
            return last
        return next((id for id in course.lesson_ids if id not in done), last)

    async def _remove(self, filter: Mapping[str, Any], index: str) -> bool:
        """Remove the enrollment that the filter finds, if there is one. In a transaction."""
        wire = await self._collection.find_one_and_delete(filter, hint=index)
        if wire is None:
            return False
        user_id, course_id = wire["userId"], wire["courseId"]
        # Also of a deleted course: its enrollments stay, and so its counter has to.
        await self._of(Course).update_one({"_id": course_id}, {"$inc": {"enrollmentCount": -1}})
        course = await curriculum_of(self._connection, course_id, include_deleted=True)
        progress = {"userId": user_id, "lessonId": {"$in": course.lesson_ids}}
        await self._of(LessonProgress).delete_many(progress, hint="by_userId_and_lessonId")
        return True

    async def _apply(self, course_id: CourseId, requests: Sequence[_Request]) -> Sequence[EnrollResult | Exception]:
        """Enroll the users. In a transaction."""
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
            # First of the writes, since it is what conflicts with other processes, and with the removal of lessons.
            await self._of(Course).update_one({"_id": course_id}, {"$inc": {"enrollmentCount": len(new)}})
            await self._collection.insert_many([enrollment.to_wire() for enrollment in new.values()])
        await bring_about(self._connection, acts)
        return answers

    async def _state(
        self, course_id: CourseId, user_ids: Sequence[UserId]
    ) -> tuple[str | None, dict[UserId, dict[str, Any] | None]]:
        """The course's status, if it is there; which of the users exist, and their enrollments in it."""
        enrollment = {
            "from": "enrollments",
            "localField": "_id",
            "foreignField": "userId",
            # A lookup takes no hint. Only by_userId_and_courseId has the order asked for, although all of it is equal.
            "pipeline": [{"$match": {"courseId": course_id}}, {"$sort": {"courseId": 1}}],
            "as": "enrollments",
        }
        # It refers to nothing of the user, so the server runs it once.
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
