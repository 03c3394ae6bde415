"""The lessons of a course's modules."""

from typing import Annotated

from pydantic import Field
from pymongo import ReturnDocument

from datalayer.documents.courses import MAX_ATTACHMENTS, Course, Lesson, Module
from datalayer.engine.boundary import UNSET, Many, Unset
from datalayer.engine.collection import LOCK
from datalayer.engine.fields import Body, File, Html, Note, Title
from datalayer.engine.repository import not_found
from datalayer.errors import InvalidInputError
from datalayer.ids import CourseId, LessonId, ModuleId
from datalayer.repositories.shared.ordered import OrderedRepository
from datalayer.repositories.shared.removed_lessons import RemovalFromCourse


class Lessons(OrderedRepository[Lesson, LessonId]):
    """The lessons. What changes their order writes to the module, or to both."""

    document = Lesson
    parent = "moduleId"

    async def create(
        self,
        module_id: ModuleId,
        title: Title,
        *,
        content: Body | None = None,
        content_html: Html | None = None,
        video_url: Note | None = None,
        attachment_ids: Annotated[Many[File], Field(max_length=MAX_ATTACHMENTS)] | None = None,
    ) -> Lesson:
        """Make a lesson, the last of its module. It reopens the course for nobody.

        A transaction of 5 round trips, by_moduleId_and_order.

        Raises:
            NotFoundError: There is no such module, or its course is deleted.
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
        video_url: Note | Unset | None = UNSET,
        attachment_ids: Annotated[Many[File], Field(max_length=MAX_ATTACHMENTS)] | Unset | None = UNSET,
    ) -> Lesson:
        """Change some of the lesson's fields. One round trip.

        Raises:
            NotFoundError: There is none.
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
        """The module's lessons in order, as they were at one moment. One round trip, by_moduleId_and_order."""
        return await self._in_order(module_id)

    async def reorder(self, module_id: ModuleId, ids: Many[LessonId]) -> None:
        """Put the module's lessons into this order: all of them, at once.

        A transaction of 4 round trips, by_moduleId_and_order; `updatedAt` moves with each lesson that gets another
        place.

        Raises:
            InvalidInputError: `ids` is not each lesson of the module, once.
            NotFoundError: There is no such module.
        """

        async def work() -> None:
            await self._lock_module(module_id)
            await self._reorder(module_id, ids)

        await self._connection.transaction(work)

    async def move(self, id: LessonId, module_id: ModuleId) -> Lesson:
        """Put the lesson last into a module of the same course, which may be its own.

        A transaction of 8 round trips, by_moduleId_and_order; `updatedAt` moves with each lesson that gets another
        place.

        Raises:
            InvalidInputError: The module is of another course.
            NotFoundError: There is no such lesson or module.
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
                raise InvalidInputError("module_id", "is a module of another course")
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
        """Remove the lesson with its progress; those behind it move up. A transaction of 13 round trips.

        Who has done all of the lessons that are left has completed the course; where this was the last one opened, none
        is. It writes to every enrollment of the course, so that nobody completes a lesson that is going: 0.5 s for
        10,000. Where that takes too long, or conflicts with lessons that are being completed all the time, the lesson
        goes first: nobody can open or complete it any more. The enrollments and the progress follow in batches.
        Served by by_moduleId_and_order, by_courseId_and_order, by_courseId, by_lessonId and by_userId_and_lessonId, and
        by_removing where it completes an interrupted removal.

        Raises:
            NotFoundError: There is none.
            IncompleteError: Some of the batches did not succeed: calling it again completes them.
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
        """Write to the module, and give its course."""
        module = await self._of(Module).find_one_and_update(
            {"_id": id}, LOCK, {"courseId": 1}, return_document=ReturnDocument.AFTER
        )
        if module is None:
            raise not_found(Module, id)
        return module["courseId"]
