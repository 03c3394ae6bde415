"""The rows of a database, for the rules to look at."""

from collections import defaultdict
from typing import Any, Self

from pymongo.asynchronous.database import AsyncDatabase

Row = dict[str, Any]

AT_ONCE = 60_000
"""Milliseconds within which two transactions may have been under way at once, so that times do not tell their order."""

TABLES = (
    *("users", "spaces", "posts", "comments", "likes", "courses", "modules", "lessons", "enrollments"),
    *("lessonProgress", "events", "rsvps", "memberships", "notifications", "conversations", "messages", "points"),
    *("gamificationConfig", "levels", "follows", "reports", "spaceVisits", "communitySettings"),
    *("stories", "chapters", "scenes", "characters"),
)


class Data(dict[str, list[Row]]):
    """All rows by table, in the order of their ids."""

    def by_id(self, table: str) -> dict[Any, Row]:
        """The rows of a table by id."""
        return {row["_id"]: row for row in self[table]}

    def grouped(self, table: str, *fields: str) -> dict[Any, list[Row]]:
        """The rows of a table by the value of a field, or of several."""
        groups: defaultdict[Any, list[Row]] = defaultdict(list)
        for row in self[table]:
            key = tuple(row.get(field) for field in fields)
            groups[key if len(key) > 1 else key[0]].append(row)
        return groups

    def lessons_of_courses(self) -> dict[Any, list[Row]]:
        """The lessons of each course, through its modules."""
        courses = {module["_id"]: module["courseId"] for module in self["modules"]}
        lessons: defaultdict[Any, list[Row]] = defaultdict(list)
        for lesson in self["lessons"]:
            lessons[courses.get(lesson["moduleId"])].append(lesson)
        return lessons

    @classmethod
    async def read(cls, database: AsyncDatabase[Any]) -> Self:
        """All rows, in one round trip; the database should be quiet, since it is read collection by collection."""
        parts = [
            [{"$sort": {"_id": 1}}, {"$project": {"_id": 0, "table": {"$literal": table}, "row": "$$ROOT"}}]
            for table in TABLES
        ]
        others = [
            {"$unionWith": {"coll": table, "pipeline": part}} for table, part in zip(TABLES[1:], parts[1:], strict=True)
        ]
        data = cls({table: [] for table in TABLES})
        async for found in await database[TABLES[0]].aggregate([*parts[0], *others]):
            data[found["table"]].append(found["row"])
        return data
