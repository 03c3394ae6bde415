"""The parts of a course."""

from bson import ObjectId

from datalayer.documents.courses import Course, Lesson, Module
from datalayer.engine.boundary import Many
from datalayer.engine.collection import LOCK
from datalayer.engine.fields import Title
from datalayer.engine.repository import ALIVE, AT_ONCE, not_found
from datalayer.ids import CourseId, LessonId, ModuleId
from datalayer.repositories.shared.ordered import OrderedRepository
from datalayer.repositories.shared.removed_lessons import RemovalFromCourse


class Modules(OrderedRepository[Module, ModuleId]):
    """The modules of the courses. What changes their order writes to the course."""

    document = Module
    parent = "courseId"

    async def create(self, course_id: CourseId, title: Title) -> Module:
        """Make a module, the last of its course. A transaction of 4 round trips, by_courseId_and_order.

        Raises:
            NotFoundError: There is no such course.
        """

        async def work() -> Module:
            await self._lock_course(course_id)
            order = await self._next_place(course_id)
            return await self._insert(
                self.document(course_id=course_id, title=title, order=order, created_at=self._now()),
            )

        return await self._connection.transaction(work)

    async def rename(self, id: ModuleId, title: Title) -> Module:
        """Give the module another title. One round trip.

        Raises:
            NotFoundError: There is none.
        """
        return await self._update({"_id": id}, self._changes(title=title))

    async def in_course(self, course_id: CourseId) -> list[Module]:
        """The course's modules in order, as they were at one moment. One round trip, by_courseId_and_order."""
        return await self._in_order(course_id)

    async def reorder(self, course_id: CourseId, ids: Many[ModuleId]) -> None:
        """Put the course's modules into this order: all of them, at once.

        A transaction of 4 round trips, by_courseId_and_order.

        Raises:
            InvalidInputError: `ids` is not each module of the course, once.
            NotFoundError: There is no such course.
        """

        async def work() -> None:
            await self._lock_course(course_id)
            await self._reorder(course_id, ids)

        await self._connection.transaction(work)

    async def delete(self, id: ModuleId) -> None:
        """Remove the module with its lessons and their progress; those behind it move up.

        A transaction of 7 round trips for an empty last one, 14 with lessons. It writes to every enrollment of the
        course: see `lessons.delete` for what that costs, and what it means for the users who take the course. Served by
        by_moduleId, and by the same indexes as that:
        by_courseId, by_courseId_and_order, by_moduleId_and_order, by_lessonId, by_userId_and_lessonId, and by_removing
        where it completes an interrupted removal.

        Raises:
            NotFoundError: There is none.
            IncompleteError: Some of the batches did not succeed: calling it again completes them.
        """

        async def remove() -> tuple[CourseId, list[LessonId]] | None:
            module = await self._one({"_id": id})
            if module is None:
                return None
            await self._collection.delete_one({"_id": id})
            await self._close_gap(module.course_id)
            return module.course_id, await self._remove_lessons(id)

        await RemovalFromCourse(self._connection, Module, id, remove).run()

    async def _lock_course(self, id: CourseId) -> None:
        changed = await self._of(Course).update_one({"_id": id, **ALIVE}, LOCK)
        if changed.matched_count == 0:
            raise not_found(Course, id)

    async def _remove_lessons(self, id: ObjectId) -> list[LessonId]:
        lessons = self._of(Lesson)
        found = await lessons.find({"moduleId": id}, {"_id": 1}, hint="by_moduleId", batch_size=AT_ONCE).to_list()
        await lessons.delete_many({"moduleId": id}, hint="by_moduleId")
        return [wire["_id"] for wire in found]
