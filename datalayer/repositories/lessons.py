"""The lessons of a course's modules."""

from typing import Annotated

from pydantic import Field
from pymongo import ReturnDocument

from datalayer.documents.courses import MAX_ATTACHMENTS, Course, Lesson, Module
from datalayer.engine.boundary import UNSET, AnyCollection, Unset
from datalayer.engine.collection import LOCK
from datalayer.engine.fields import Body, File, Html, ShortText, Title
from datalayer.engine.repository import not_found
from datalayer.errors import InvalidInputError
from datalayer.ids import CourseId, LessonId, ModuleId
from datalayer.repositories.shared.ordered import OrderedRepository
from datalayer.repositories.shared.removed_lessons import RemovalFromCourse


class Lessons(OrderedRepository[Lesson, LessonId]):
    """The lessons of the modules. Every change of their order writes to the module, or to both modules of a move."""

    document = Lesson
    parent = "moduleId"

    async def create(
        self,
        module_id: ModuleId,
        title: Title,
        *,
        content: Body | None = None,
        content_html: Html | None = None,
        video_url: ShortText | None = None,
        attachment_ids: Annotated[AnyCollection[File], Field(max_length=MAX_ATTACHMENTS)] | None = None,
    ) -> Lesson:
        """Create a lesson at the end of its module.

        Users who have completed the course stay completed.

        Raises:
            NotFoundError: The module does not exist, or its course is deleted.

        Cost: one transaction, 5 round trips; index by_moduleId_and_order.
        """

        async def work() -> Lesson:
            await self._require(Course, await self._lock_module(module_id))
            order, now = await self._next_place(module_id), self._now()
            return await self._insert(
                self.document(
                    module_id=module_id,
                    title=title,
                    content=content,
                    content_html=content_html,
                    video_url=video_url,
                    attachment_ids=None if attachment_ids is None else [*attachment_ids],
                    order=order,
                    created_at=now,
                    updated_at=now,
                )
            )

        return await self._connection.transaction(work)

    async def update(
        self,
        id: LessonId,
        *,
        title: Title | Unset = UNSET,
        content: Body | Unset | None = UNSET,
        content_html: Html | Unset | None = UNSET,
        video_url: ShortText | Unset | None = UNSET,
        attachment_ids: Annotated[AnyCollection[File], Field(max_length=MAX_ATTACHMENTS)] | Unset | None = UNSET,
    ) -> Lesson:
        """Change the given fields of the lesson.

        Raises:
            NotFoundError: The lesson does not exist.

        Cost: 1 round trip; index `_id`.
        """
        changes = self._changes(
            title=title,
            content=content,
            content_html=content_html,
            video_url=video_url,
            attachment_ids=attachment_ids,
            updated_at=self._now(),
        )
        return await self._update({"_id": id}, changes)

    async def in_module(self, module_id: ModuleId) -> list[Lesson]:
        """Return the module's lessons in order, read from one snapshot.

        Cost: 1 round trip; index by_moduleId_and_order.
        """
        return await self._in_order(module_id)

    async def reorder(self, module_id: ModuleId, ids: AnyCollection[LessonId]) -> None:
        """Set the order of all lessons of the module in one step.

        Lessons whose place changes get a new `updatedAt`.

        Raises:
            InvalidInputError: `ids` does not contain each lesson of the module exactly once.
            NotFoundError: The module does not exist.

        Cost: one transaction, 4 round trips; index by_moduleId_and_order.
        """

        async def work() -> None:
            await self._lock_module(module_id)
            await self._reorder(module_id, ids)

        await self._connection.transaction(work)

    async def move(self, id: LessonId, module_id: ModuleId) -> Lesson:
        """Move the lesson to the end of a module of the same course, which may be its current one.

        Lessons whose place changes get a new `updatedAt`.

        Raises:
            InvalidInputError: The module belongs to another course.
            NotFoundError: The lesson or module does not exist.

        Cost: one transaction, 8 round trips; index by_moduleId_and_order.
        """

        async def work() -> Lesson:
            lesson = self._found(await self._one({"_id": id}), id)
            among = {"_id": {"$in": [lesson.module_id, module_id]}}
            modules = await self._of(Module).find(among, {"courseId": 1}).to_list()
            courses = {module["_id"]: module["courseId"] for module in modules}
            for wanted in (module_id, lesson.module_id):
                if wanted not in courses:
                    raise not_found(Module, wanted)
            if courses[module_id] != courses[lesson.module_id]:
                raise InvalidInputError("module_id", "belongs to another course")
            await self._of(Module).update_many(among, LOCK)
            others: dict[LessonId, int] = {}
            for module in dict.fromkeys([lesson.module_id, module_id]):
                others = await self._places(module)
                others.pop(id, None)
                await self._put_in_order(others, others)
            changes = self._changes(module_id=module_id, order=len(others), updated_at=self._now())
            return await self._update({"_id": id}, changes)

        return await self._connection.transaction(work)

    async def delete(self, id: LessonId) -> None:
        """Delete the lesson with its progress, permanently. Later lessons of the module move up.

        Users who finished all remaining lessons complete the course; `lastLessonId` is cleared if it pointed here. For
        this the transaction writes to every enrollment of the course, so that nobody can complete the lesson meanwhile:
        0.5 s for 10,000 enrollments. If that takes too long, or keeps conflicting with lessons that are being
        completed, the lesson is deleted first, so it can no longer be opened or completed, and the enrollments and the
        progress follow in batches.

        Raises:
            NotFoundError: The lesson does not exist.
            IncompleteError: Some batches failed. Call the method again to finish.

        Cost: one transaction, 13 round trips; indexes by_moduleId_and_order, by_courseId_and_order, by_courseId,
        by_lessonId, by_userId_and_lessonId, and by_removing if it finishes an interrupted removal.
        """

        async def remove() -> tuple[CourseId, list[LessonId]] | None:
            lesson = await self._one({"_id": id})
            if lesson is None:
                return None
            course_id = await self._lock_module(lesson.module_id)
            await self._collection.delete_one({"_id": id})
            await self._close_gap(lesson.module_id)
            return course_id, [id]

        await RemovalFromCourse(self._connection, Lesson, id, remove).run()

    async def _lock_module(self, id: ModuleId) -> CourseId:
        """Lock the module by a write, and return its course."""
        module = await self._of(Module).find_one_and_update(
            {"_id": id}, LOCK, {"courseId": 1}, return_document=ReturnDocument.AFTER
        )
        if module is None:
            raise not_found(Module, id)
        return module["courseId"]
