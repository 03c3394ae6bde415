"""Courses, their modules and lessons."""

from datalayer.documents.courses import Course, Lesson, Module
from datalayer.ids import CourseId, LessonId, ModuleId
from datalayer.repositories.base import Repository, SoftDeletingRepository


class Courses(SoftDeletingRepository[Course, CourseId]):
    """Courses by id."""

    document = Course


class Modules(Repository[Module, ModuleId]):
    """Modules by id."""

    document = Module


class Lessons(Repository[Lesson, LessonId]):
    """Lessons by id."""

    document = Lesson
