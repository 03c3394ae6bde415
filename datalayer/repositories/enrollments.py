"""Who takes which course, and how far they are."""

from datalayer.documents.enrollments import Enrollment, LessonProgress
from datalayer.ids import EnrollmentId, LessonProgressId
from datalayer.repositories.base import Repository


class Enrollments(Repository[Enrollment, EnrollmentId]):
    """Enrollments by id."""

    document = Enrollment


class Progress(Repository[LessonProgress, LessonProgressId]):
    """Lesson progress by id."""

    document = LessonProgress
