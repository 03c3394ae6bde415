"""What the database holds, as the ledger has it.

Every text that the load writes is a marker, which nothing else has, and a version: `a3-17 2`.
"""

from collections import defaultdict
from collections.abc import Iterator

from tests.reliability.ledger import Register, Value
from tests.seeding.rows import Data, Row

TOGETHER = "together"
"""How the markers begin of what one transaction writes to several tables."""

_TEXTS = {
    "users": "name",
    "posts": "content",
    "comments": "content",
    "messages": "content",
    "notifications": "type",
    "points": "referenceId",
    "reports": "reason",
    "scenes": "outline",
}

_RELATIONS = {
    "likes": ("userId", "targetId"),
    "follows": ("followerId", "followingId"),
    "rsvps": ("userId", "eventId"),
    "enrollments": ("userId", "courseId"),
    "lessonProgress": ("userId", "lessonId"),
}

_FLAGS = {"deletedAt": "deleted", "pinnedAt": "pinned", "readAt": "read"}


def observed(data: Data) -> dict[Register, Value]:
    """All registers that have a value."""
    return dict([*_texts(data), *_relations(data)])


def unrewarded(data: Data) -> list[str]:
    """One sentence for each like of a post without its points, although both are written in one transaction."""
    authors = {post["_id"]: post["authorId"] for post in data["posts"]}
    rewarded = {(entry["userId"], entry.get("referenceId")) for entry in data["points"]}
    return [
        f"the like of {like['targetId']} by {like['userId']} gave no points"
        for like in data["likes"]
        if (author := authors.get(like["targetId"])) not in (None, like["userId"])
        and (author, f"post:{like['targetId']}:{like['userId']}") not in rewarded
    ]


def _texts(data: Data) -> Iterator[tuple[Register, Value]]:
    together: defaultdict[str, list[str]] = defaultdict(list)
    for table, field in sorted(_TEXTS.items()):
        for row in data[table]:
            if "gatherKey" in row or row.get("type") == "level_up" or row.get("referenceType") == "like":
                # Consequences of likes.
                continue
            marker, _, number = row.get(field, "").partition(" ")
            if marker.startswith(TOGETHER):
                together[marker].append(table)
            else:
                yield (table, marker), " ".join([number, *_flags(table, row)])
    for marker, tables in together.items():
        yield (TOGETHER, marker), " ".join(tables)


def _flags(table: str, row: Row) -> list[str]:
    flags = [flag for field, flag in _FLAGS.items() if field in row]
    if row.get("read"):
        flags.append("read")
    if table == "scenes":
        flags.append(row["status"])
    return sorted(flags)


def _relations(data: Data) -> Iterator[tuple[Register, Value]]:
    for table, fields in _RELATIONS.items():
        for row in data[table]:
            yield (table, *(str(row[field]) for field in fields)), row.get("status", "there")
