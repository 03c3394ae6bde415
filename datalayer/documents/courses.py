"""Courses, their modules and lessons."""

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal, TypeAlias

from pydantic import Field

from datalayer.documents.spaces import Visibility
from datalayer.engine.document import Document, new_id
from datalayer.engine.fields import Body, Count, File, Html, Name, Note, Text, Timestamp, Title
from datalayer.engine.ids import AnyId
from datalayer.engine.indexes import Index, TableSettings
from datalayer.ids import CourseId, LessonId, ModuleId

CourseStatus: TypeAlias = Literal["draft", "published"]

MAX_ATTACHMENTS = 100

MAX_REMOVING = 100_000
"""As many lessons as a module that is removed may have, where the enrollments follow in batches."""


class Course(Document):
    """A course. `enrollment_count` follows its enrollments.

    `removing` are lessons and modules that have been removed, while not every enrollment has followed yet.
    """

    id: CourseId = new_id()
    title: Annotated[str, Text(1, 100)]
    description: Note | None = None
    description_html: Html | None = None
    thumbnail_storage_id: File | None = None
    visibility: Visibility
    required_tier: Name | None = None
    status: CourseStatus
    enrollment_count: Count
    revision: Count | None = None
    removing: Annotated[list[AnyId], Field(max_length=MAX_REMOVING)] | None = None
    created_at: Timestamp
    updated_at: Timestamp
    deleted_at: Timestamp | None = None

    class Settings(TableSettings):
        """The collection."""

        name = "courses"
        written_by = "community.courses: create, update, publish, delete"
        indexes: ClassVar[Sequence[Index]] = (
            Index("by_status", "status"),
            Index("by_visibility", "visibility"),
            Index("by_status_and_visibility", "status", "visibility", why="courses.published of one visibility"),
            Index(
                "by_removing",
                "removing",
                where={"removing": {"$exists": True}},
                why="the course of a removal of a lesson or module that was interrupted",
            ),
        )


class Module(Document):
    """A part of a course. `order` is its place in the course, from 0."""

    id: ModuleId = new_id()
    course_id: CourseId
    title: Title
    order: Count
    revision: Count | None = None
    created_at: Timestamp

    class Settings(TableSettings):
        """The collection."""

        name = "modules"
        written_by = "community.modules: create, rename, reorder, delete"
        indexes: ClassVar[Sequence[Index]] = (
            Index("by_courseId", "courseId"),
            Index("by_courseId_and_order", "courseId", "order"),
        )


class Lesson(Document):
    """A lesson of a module. `order` is its place in the module, from 0."""

    id: LessonId = new_id()
    module_id: ModuleId
    title: Title
    content: Body | None = None
    content_html: Html | None = None
    video_url: Note | None = None
    attachment_ids: Annotated[list[File], Field(max_length=MAX_ATTACHMENTS)] | None = None
    order: Count
    created_at: Timestamp
    updated_at: Timestamp

    class Settings(TableSettings):
        """The collection."""

        name = "lessons"
        written_by = "community.lessons: create, update, move, delete"
        indexes: ClassVar[Sequence[Index]] = (
            Index("by_moduleId", "moduleId"),
            Index("by_moduleId_and_order", "moduleId", "order"),
        )
