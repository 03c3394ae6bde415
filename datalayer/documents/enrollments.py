"""Enrollments of users in courses, and their progress."""

from collections.abc import Sequence
from typing import ClassVar

from datalayer.engine.document import Document, new_id
from datalayer.engine.fields import Count, Timestamp
from datalayer.engine.indexes import Index, TableSettings
from datalayer.ids import CourseId, EnrollmentId, LessonId, LessonProgressId, UserId


class Enrollment(Document):
    """A user's enrollment in a course. `completed_at` is set when all lessons of the course are done."""

    id: EnrollmentId = new_id()
    course_id: CourseId
    user_id: UserId
    last_lesson_id: LessonId | None = None
    revision: Count | None = None
    enrolled_at: Timestamp
    completed_at: Timestamp | None = None

    class Settings(TableSettings):
        """The collection."""

        name = "enrollments"
        written_by = "community.enrollments: enroll, open_lesson, withdraw"
        shard_key = ("userId",)
        indexes: ClassVar[Sequence[Index]] = (
            Index("by_userId", "userId"),
            Index("by_courseId", "courseId"),
            Index("by_userId_and_courseId", "userId", "courseId", unique=True),
        )


class LessonProgress(Document):
    """A lesson that a user has done."""

    id: LessonProgressId = new_id()
    lesson_id: LessonId
    user_id: UserId
    completed_at: Timestamp

    class Settings(TableSettings):
        """The collection."""

        name = "lessonProgress"
        written_by = "community.lesson_progress: complete, reopen"
        shard_key = ("userId",)
        indexes: ClassVar[Sequence[Index]] = (
            Index("by_userId", "userId"),
            Index("by_lessonId", "lessonId"),
            Index("by_userId_and_lessonId", "userId", "lessonId", unique=True),
        )
