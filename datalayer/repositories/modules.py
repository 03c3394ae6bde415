"""The modules of a course."""

from bson import ObjectId

from datalayer.documents.courses import Course, Lesson, Module
from datalayer.engine.boundary import AnyCollection
from datalayer.engine.collection import LOCK
from datalayer.engine.fields import Title
from datalayer.engine.repository import ALIVE, AT_ONCE, not_found
from datalayer.ids import CourseId, LessonId, ModuleId
from datalayer.repositories.shared.ordered import OrderedRepository
from datalayer.repositories.shared.removed_lessons import RemovalFromCourse


class Modules(OrderedRepository[Module, ModuleId]):
    """The modules of the courses. Every change of their order writes to the course."""

    document = Module
    parent = "courseId"

    async def create(self, course_id: CourseId, title: Title) -> Module:
        """Create a module at the end of its course.

        Raises:
            NotFoundError: The course does not exist or is deleted.

        Cost: one transaction, 4 round trips; index by_courseId_and_order.
        """

        async def work() -> Module:
            await self._lock_course(course_id)
            order = await self._next_place(course_id)
            return await self._insert(
                self.document(course_id=course_id, title=title, order=order, created_at=self._now()),
            )

        return await self._connection.transaction(work)

    async def rename(self, id: ModuleId, title: Title) -> Module:
        """Change the module's title.

        Raises:
            NotFoundError: The module does not exist.

        Cost: 1 round trip; index `_id`.
        """
        return await self._update({"_id": id}, self._changes(title=title))

    async def in_course(self, course_id: CourseId) -> list[Module]:
        """Return the course's modules in order, read from one snapshot.

        Cost: 1 round trip; index by_courseId_and_order.
        """
        return await self._in_order(course_id)

    async def reorder(self, course_id: CourseId, ids: AnyCollection[ModuleId]) -> None:
        """Set the order of all modules of the course in one step.

        Raises:
            InvalidInputError: `ids` does not contain each module of the course exactly once.
            NotFoundError: The course does not exist or is deleted.

        Cost: one transaction, 4 round trips; index by_courseId_and_order.
        """

        async def work() -> None:
            await self._lock_course(course_id)
            await self._reorder(course_id, ids)

        await self._connection.transaction(work)

    async def delete(self, id: ModuleId) -> None:
        """Delete the module with its lessons and their progress, permanently. Later modules move up.

        The transaction writes to every enrollment of the course. `lessons.delete` describes what this costs, and what
        it means for enrolled users.

        Raises:
            NotFoundError: The module does not exist.
            IncompleteError: Some batches failed. Call the method again to finish.

        Cost: one transaction, 7 round trips for an empty module at the end, 14 with lessons; indexes by_moduleId,
        by_courseId, by_courseId_and_order, by_moduleId_and_order, by_lessonId, by_userId_and_lessonId, and by_removing
        if it finishes an interrupted removal.
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
