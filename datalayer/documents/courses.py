"""Courses, their modules and lessons."""

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal, TypeAlias

from pydantic import Field

from datalayer.documents.spaces import Visibility
from datalayer.engine.document import Document, new_id
from datalayer.engine.fields import Body, Count, File, Html, Name, ShortText, Text, Timestamp, Title
from datalayer.engine.ids import AnyId
from datalayer.engine.indexes import Index, TableSettings
from datalayer.ids import CourseId, LessonId, ModuleId

CourseStatus: TypeAlias = Literal["draft", "published"]

MAX_ATTACHMENTS = 100

MAX_REMOVING = 100_000
"""The maximum number of lessons of a module that is deleted with its enrollments updated in batches."""


class Course(Document):
    """A course. `enrollment_count` is the number of its enrollments.

    `removing` are deleted lessons and modules whose removal from the enrollments is not finished yet.
    """

    id: CourseId = new_id()
    title: Annotated[str, Text(1, 100)]
    description: ShortText | None = None
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
            Index("by_status_and_visibility", "status", "visibility", why="the published courses with one visibility"),
            Index(
                "by_removing",
                "removing",
                where={"removing": {"$exists": True}},
                why="the course of an interrupted deletion of a lesson or module",
            ),
        )


class Module(Document):
    """A part of a course. `order` is its position in the course, from 0."""

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
    """A lesson of a module. `order` is its position in the module, from 0."""

    id: LessonId = new_id()
    module_id: ModuleId
    title: Title
    content: Body | None = None
    content_html: Html | None = None
    video_url: ShortText | None = None
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
