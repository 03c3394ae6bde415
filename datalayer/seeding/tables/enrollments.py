"""Enrollments and the progress in them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from bson import ObjectId

from datalayer.engine.clock import DAY
from datalayer.seeding.draws import Ids, source
from datalayer.seeding.tables.courses import Courses, Curriculum
from datalayer.seeding.tables.users import People
from datalayer.seeding.world import World


@dataclass(frozen=True, slots=True)
class Study:
    """A user's progress in a course: the completion times of the first lessons, in order."""

    number: int
    user: int
    course: Curriculum
    enrolled: int
    done: list[int]

    @property
    def completed(self) -> int | None:
        """The completion time of the course, or `None`."""
        return self.done[-1] if len(self.done) == len(self.course.lessons) else None

    def lessons(self) -> Iterator[tuple[ObjectId, int]]:
        """Return the completed lessons with their times."""
        for lesson, moment in zip(self.course.lessons, self.done, strict=False):
            yield lesson["_id"], moment


class Enrollments:
    """The studies of all published courses."""

    def __init__(self, world: World, people: People, courses: Courses) -> None:
        self._world, self._people, self._courses = world, people, courses
        self._ids, self._progress = Ids(world, "enrollments"), Ids(world, "lessonProgress")
        self.marks = (self._ids.mark, self._progress.mark)
        self.per_course = [self._of(number) if course.published else 0 for number, course in enumerate(courses.all)]
        self.count = sum(self.per_course)
        self.progress_count = sum(len(study.done) for study in self.studies())

    def _of(self, course: int) -> int:
        """Return the number of enrollments: some courses are more popular than others."""
        return self._world.enrollments_per_course * (2 + course * 3 % 5) // 6

    def studies(self) -> Iterator[Study]:
        """Return all studies, course by course."""
        random, people, world = source(self._world, "enrollments"), self._people, self._world
        number = 0
        for course, total in zip(self._courses.all, self.per_course, strict=True):
            last = course.row.get("deletedAt", world.now)
            first = min(last, course.row["createdAt"] + DAY)
            for user in random.sample(range(people.there_at(last)), total):
                opened = max(first, people.created[user])
                enrolled = opened + int(random.random() * min(last - opened, 120 * DAY))
                lessons = min(len(course.lessons), int(random.random() * len(course.lessons) * 1.4))
                window = min(last - enrolled, 40 * DAY)
                done = [enrolled + window * (step + 1) // (lessons + 1) for step in range(lessons)]
                yield Study(number, user, course, enrolled, done)
                number += 1

    def rows(self) -> Iterator[dict[str, Any]]:
        """The enrollments."""
        for study in self.studies():
            row = {
                "_id": self._ids.make(study.enrolled, study.number),
                "courseId": study.course.id,
                "userId": self._people.ids[study.user],
                "enrolledAt": study.enrolled,
            }
            if study.done:
                row["lastLessonId"] = study.course.lessons[len(study.done) - 1]["_id"]
            if study.completed is not None:
                row["completedAt"] = study.completed
            yield row

    def progress_rows(self) -> Iterator[dict[str, Any]]:
        """The progress."""
        sequence = 0
        for study in self.studies():
            for lesson, moment in study.lessons():
                yield {
                    "_id": self._progress.make(moment, sequence),
                    "lessonId": lesson,
                    "userId": self._people.ids[study.user],
                    "completedAt": moment,
                }
                sequence += 1

    def course_rows(self) -> Iterator[dict[str, Any]]:
        """Return the documents of the courses, with their counters."""
        for course, total in zip(self._courses.all, self.per_course, strict=True):
            yield course.row | {"enrollmentCount": total}
