"""Courses with their modules and lessons."""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Any

from bson import ObjectId

from datalayer.engine.clock import DAY, HOUR
from datalayer.seeding.draws import Every, Ids, source
from datalayer.seeding.phrases import Writer, markup, paragraphs, phrases
from datalayer.seeding.world import World

_DRAFTS, _DELETED = Every(6, 4), Every(9, 8)


@dataclass(frozen=True, slots=True)
class Curriculum:
    """A course with its modules and lessons. The documents are complete except for `enrollmentCount`."""

    row: dict[str, Any]
    modules: list[dict[str, Any]]
    lessons: list[dict[str, Any]]
    """In the order of the course."""

    @property
    def id(self) -> ObjectId:
        """The id of the course."""
        return self.row["_id"]

    @property
    def published(self) -> bool:
        """True if users could enroll."""
        return self.row["status"] == "published"


class Courses:
    """All courses; few enough to be held in memory."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._random = source(world, "courses")
        self._writer = Writer(self._random)
        self._courses, self._modules, self._lessons = (Ids(world, name) for name in ("courses", "modules", "lessons"))
        self.marks = (self._courses.mark, self._modules.mark, self._lessons.mark)
        self._made = 0
        self._taught = 0
        self.all = [self._curriculum(number) for number in range(world.courses)]

    def _curriculum(self, number: int) -> Curriculum:
        created = self._world.at(0.6 * number / self._world.courses)
        row = self._course(number, created)
        titles = phrases("courses", "modules")
        modules: list[dict[str, Any]] = []
        lessons: list[dict[str, Any]] = []
        for order, title in enumerate(titles[: 3 + number % (len(titles) - 2)]):
            module = {
                "_id": self._modules.make(created + order, self._made),
                "courseId": row["_id"],
                "title": self._writer.fresh().fill(title),
                "order": order,
                "createdAt": created + order,
            }
            self._made += 1
            modules.append(module)
            lessons.extend(self._lesson_rows(module, 1 + (number + order) % 4))
        return Curriculum(row, modules, lessons)

    def _course(self, number: int, created: int) -> dict[str, Any]:
        random, writer = self._random, self._writer.fresh()
        subjects, editions = phrases("courses", "subjects"), phrases("courses", "editions")
        description = writer.write("courses", "description")
        row: dict[str, Any] = {
            "_id": self._courses.make(created, number),
            "title": subjects[number % len(subjects)] + editions[number // len(subjects) % len(editions)],
            "description": description,
            "descriptionHtml": markup([description]),
            "visibility": ("public", "members", "public", "paid")[number % 4],
            "status": "draft" if number in _DRAFTS else "published",
            "createdAt": created,
            "updatedAt": created + int(random.random() * self._world.between(created, 60)),
        }
        if row["visibility"] == "paid":
            row["requiredTier"] = "pro"
        if number % 3:
            row["thumbnailStorageId"] = f"courses/{random.getrandbits(64):016x}.jpg"
        if number in _DELETED:
            row["deletedAt"] = max(row["updatedAt"], self._world.now - DAY)
        return row

    def _lesson_rows(self, module: dict[str, Any], total: int) -> Iterator[dict[str, Any]]:
        random, writer = self._random, self._writer
        for order, title in enumerate(random.sample(phrases("courses", "lessons"), total)):
            created = module["createdAt"] + HOUR + order
            row: dict[str, Any] = {
                "_id": self._lessons.make(created, self._taught),
                "moduleId": module["_id"],
                "title": writer.fresh().fill(title),
                "order": order,
                "createdAt": created,
                "updatedAt": created,
            }
            row |= _teaching(random, writer, self._taught)
            self._taught += 1
            yield row


def _teaching(random: Random, writer: Writer, number: int) -> dict[str, Any]:
    texts = writer.several(random.randrange(2, 5), "courses", "paragraphs")
    parts: dict[str, Any] = {"content": paragraphs(texts), "contentHtml": markup(texts)}
    if number % 3 == 0:
        parts["videoUrl"] = f"https://video.example.org/lessons/{number}"
    if number % 5 == 0:
        parts["attachmentIds"] = [f"drawings/{random.getrandbits(48):012x}.pdf"]
    return parts
