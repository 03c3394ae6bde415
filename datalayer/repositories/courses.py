"""Courses and their outlines."""

from collections import defaultdict
from dataclasses import dataclass
from typing import Annotated, Any

from datalayer.documents.courses import Course, CourseStatus, Lesson, Module
from datalayer.documents.spaces import Visibility
from datalayer.engine.boundary import UNSET, Cursor, Limit, Unset
from datalayer.engine.fields import File, Html, Name, ShortText, Text
from datalayer.engine.pages import Page
from datalayer.engine.repository import ALIVE, AT_ONCE, SoftDeletingRepository
from datalayer.ids import CourseId, ModuleId


@dataclass(frozen=True, slots=True)
class ModuleOutline:
    """A module with its lessons in order."""

    module: Module
    lessons: list[Lesson]


@dataclass(frozen=True, slots=True)
class CourseOutline:
    """A course with its modules in order."""

    course: Course
    modules: list[ModuleOutline]


class Courses(SoftDeletingRepository[Course, CourseId]):
    """The courses."""

    document = Course

    async def create(
        self,
        *,
        title: Annotated[str, Text(1, 100)],
        visibility: Visibility = "public",
        description: ShortText | None = None,
        description_html: Html | None = None,
        thumbnail_storage_id: File | None = None,
        required_tier: Name | None = None,
    ) -> Course:
        """Create a course as a draft.

        Cost: 1 round trip.
        """
        now = self._now()
        return await self._insert(
            self.document(
                title=title,
                visibility=visibility,
                description=description,
                description_html=description_html,
                thumbnail_storage_id=thumbnail_storage_id,
                required_tier=required_tier,
                status="draft",
                enrollment_count=0,
                created_at=now,
                updated_at=now,
            )
        )

    async def update(
        self,
        id: CourseId,
        *,
        title: Annotated[str, Text(1, 100)] | Unset = UNSET,
        visibility: Visibility | Unset = UNSET,
        description: ShortText | Unset | None = UNSET,
        description_html: Html | Unset | None = UNSET,
        thumbnail_storage_id: File | Unset | None = UNSET,
        required_tier: Name | Unset | None = UNSET,
    ) -> Course:
        """Change the given fields of the course.

        Raises:
            NotFoundError: The course does not exist or is deleted.

        Cost: 1 round trip; index `_id`.
        """
        changes = self._changes(
            title=title,
            visibility=visibility,
            description=description,
            description_html=description_html,
            thumbnail_storage_id=thumbnail_storage_id,
            required_tier=required_tier,
            updated_at=self._now(),
        )
        return await self._update({"_id": id, **ALIVE}, changes)

    async def publish(self, id: CourseId) -> Course:
        """Publish the course, which opens it for enrollment. Idempotent.

        Raises:
            NotFoundError: The course does not exist or is deleted.

        Cost: 1 round trip; index `_id`.
        """
        return await self._set_status(id, "published")

    async def unpublish(self, id: CourseId) -> Course:
        """Make the course a draft again. Its enrollments are kept. Idempotent.

        Raises:
            NotFoundError: The course does not exist or is deleted.

        Cost: 1 round trip; index `_id`.
        """
        return await self._set_status(id, "draft")

    async def delete(self, id: CourseId) -> None:
        """Soft-delete the course. Its modules, lessons and enrollments are kept.

        Raises:
            NotFoundError: The course does not exist or is already deleted.

        Cost: 1 round trip; index `_id`.
        """
        now = self._now()
        await self._update({"_id": id, **ALIVE}, {"$set": {"deletedAt": now, "updatedAt": now}})

    async def restore(self, id: CourseId) -> Course:
        """Restore a deleted course with its previous status. Idempotent.

        Raises:
            NotFoundError: The course does not exist.

        Cost: 1 round trip; index `_id`.
        """
        is_deleted = {"$gt": ["$deletedAt", None]}
        updated = {"$cond": [is_deleted, self._now(), "$updatedAt"]}
        return await self._update({"_id": id}, [{"$set": {"updatedAt": updated}}, {"$unset": "deletedAt"}])

    async def published(
        self, *, visibility: Visibility | None = None, limit: Limit = 20, after: Cursor | None = None
    ) -> Page[Course]:
        """Return a page of the published courses, newest first, optionally only those with one visibility.

        Cost: 1 round trip; index by_status_and_visibility with a visibility, by_status without.
        """
        if visibility is None:
            return await self.by_status("published", limit=limit, after=after)
        filter = {"status": "published", "visibility": visibility, **ALIVE}
        return await self._page(filter, "by_status_and_visibility", limit, after)

    async def by_status(self, status: CourseStatus, *, limit: Limit = 20, after: Cursor | None = None) -> Page[Course]:
        """Return a page of the courses with this status, newest first.

        Cost: 1 round trip; index by_status.
        """
        return await self._page({"status": status, **ALIVE}, "by_status", limit, after)

    async def outline(self, id: CourseId) -> CourseOutline:
        """Return the course with its modules and their lessons, in order, read from one snapshot.

        Raises:
            NotFoundError: The course does not exist or is deleted.

        Cost: 3 round trips; indexes by_courseId_and_order and by_moduleId_and_order. One more for each 16 MB of
        lessons.
        """
        async with self._connection.snapshot():
            course = self._found(await self._one({"_id": id, **ALIVE}), id)
            found = self._of(Module).find(
                {"courseId": id}, sort={"order": 1, "_id": 1}, hint="by_courseId_and_order", batch_size=AT_ONCE
            )
            modules = self._class(Module).from_wires(await found.to_list())
            lessons = await self._lessons_of([module.id for module in modules]) if modules else {}
        return CourseOutline(course, [ModuleOutline(module, lessons[module.id]) for module in modules])

    async def _lessons_of(self, module_ids: list[ModuleId]) -> dict[ModuleId, list[Lesson]]:
        found = self._of(Lesson).find(
            {"moduleId": {"$in": module_ids}},
            sort={"moduleId": 1, "order": 1, "_id": 1},
            hint="by_moduleId_and_order",
            batch_size=AT_ONCE,
        )
        lessons: dict[ModuleId, list[Lesson]] = defaultdict(list)
        for lesson in self._class(Lesson).from_wires(await found.to_list()):
            lessons[lesson.module_id].append(lesson)
        return lessons

    async def _set_status(self, id: CourseId, status: CourseStatus) -> Course:
        # Setting the same status again leaves `updatedAt` unchanged.
        updated: dict[str, Any] = {"$cond": [{"$eq": ["$status", status]}, "$updatedAt", self._now()]}
        return await self._update({"_id": id, **ALIVE}, [{"$set": {"status": status, "updatedAt": updated}}])
