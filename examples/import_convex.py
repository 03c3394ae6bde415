# ruff: noqa: INP001 - a script, and no part of a package
"""Loads a Convex export into the databases of the community and of the stories.

    npx convex export --prod --path export.zip
    python examples/import_convex.py export.zip --uri mongodb://localhost:27017/opentribe?replicaSet=rs0

The id of each document is derived from its creation time and its id in Convex. So the order of creation is preserved,
and the import is idempotent: to complete an interrupted run, run it again. Rows that the schema rejects are skipped and
reported. Then the counters are recounted. Run the import before anything else writes to the database.
"""

import asyncio
import json
import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from typing import Any, NewType, cast, get_args
from zipfile import ZipFile

import click
from bson import ObjectId
from pydantic import ValidationError
from pymongo import ReplaceOne, UpdateOne
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.errors import BulkWriteError

from datalayer import Community, DataLayerError, Stories
from datalayer.documents import CommunitySettings, Document, Event
from datalayer.documents.community_settings import SETTINGS_ID
from datalayer.engine.fields import Json
from datalayer.engine.translation import invalid_input
from datalayer.repositories.shared.recurrence import Schedule

Row = dict[str, Any]
Collection = AsyncCollection[Row]

BATCH = 1_000

COPIES = {
    "posts": ("authorId", "authorName", "authorAvatar"),
    "comments": ("authorId", "authorName", "authorAvatar"),
    "messages": ("senderId", "senderName", None),
}
"""The copies of a user's name and avatar: the fields with the user, the name and the avatar."""


class Export:
    """The rows of an export."""

    def __init__(self, archive: ZipFile) -> None:
        self._archive = archive
        self.tables = {name.split("/")[0] for name in archive.namelist() if name.count("/") == 1} - {"", "_tables"}

    def rows(self, table: str) -> Iterator[Row]:
        """Return the rows of a table; none if the export does not contain it."""
        if table in self.tables:
            with self._archive.open(f"{table}/documents.jsonl") as lines:
                yield from (json.loads(line) for line in lines if line.strip())


@dataclass
class Known:
    """The result of a first pass over the export: the new ids and the users' profiles, by Convex id."""

    ids: dict[str, ObjectId] = field(default_factory=dict[str, ObjectId])
    names: dict[str, tuple[float, str]] = field(default_factory=dict[str, tuple[float, str]])
    avatars: dict[str, str] = field(default_factory=dict[str, str])

    def learn(self, table: str, row: Row) -> None:
        """Remember the id, and names and avatars. A user without a name gets the name in the newest copy."""
        self.ids[row["_id"]] = object_id(table, row)
        if table == "users" and "avatarStorageId" in row:
            self.avatars[row["_id"]] = row["avatarStorageId"]
        if table == "users" and "name" in row:
            self.names[row["_id"]] = (math.inf, row["name"])
        if table in COPIES:
            owner, name, _ = (row.get(field) if field else None for field in COPIES[table])
            if owner and name:
                self.names[owner] = max(self.names.get(owner, (0.0, "")), (row["_creationTime"], name))


def object_id(table: str, row: Row) -> ObjectId:
    """Return the new id of a row. Ids sort by creation time, which is the last key of every index in Convex.

    Four bytes of seconds, three bytes of the fraction (which distinguish any two times that a double can), and five
    bytes of a hash. The settings, a single document, have a fixed id.
    """
    if table == CommunitySettings.Settings.name:
        return SETTINGS_ID
    seconds, milliseconds = divmod(row["_creationTime"], 1_000)
    fraction = int(milliseconds * 2**24 / 1_000)
    digest = blake2b(f"{table} {row['_id']}".encode(), digest_size=5).digest()
    return ObjectId(int(seconds).to_bytes(4, "big") + fraction.to_bytes(3, "big") + digest)


def convert(document: type[Document], row: Row, known: Known) -> Row:
    """Return the row in the form that MongoDB stores.

    Raises:
        ValidationError: The schema rejects the row. A string in place of an id is a reference to a row that is not in
            the export.
    """
    table = document.Settings.name
    wire = {name: value for name, value in row.items() if name != "_creationTime"}
    for name, info in ((info.alias or name, info) for name, info in document.model_fields.items()):
        if name in wire and has_ids(info.annotation):
            wire[name] = with_ids(wire[name], known)
    if table in COPIES:
        owner, name, avatar = COPIES[table]
        if row.get(owner) in known.names:
            wire[name] = known.names[row[owner]][1]
        if avatar is not None:
            wire[avatar] = known.avatars.get(row.get(owner, ""))
    if table == "users" and row["_id"] in known.names:
        wire["name"] = known.names[row["_id"]][1]
    if "participantIds" in wire:
        wire["participantIds"] = sorted(wire["participantIds"], key=str)
    if "referenceId" in wire:
        wire["referenceId"] = ":".join(str(with_ids(part, known)) for part in row["referenceId"].split(":"))
    valid = document.model_validate(wire | {"_id": known.ids[row["_id"]]})
    if isinstance(valid, Event) and valid.recurrence is not None:
        valid.series_end_time = Schedule.of(valid).over_at
    return valid.to_wire()


def has_ids(annotation: object) -> bool:
    """Return whether a field of this type holds ids."""
    if isinstance(annotation, NewType):
        return annotation.__supertype__ is ObjectId
    return annotation is Json or any(has_ids(argument) for argument in get_args(annotation))


def with_ids(value: Any, known: Known) -> Any:  # noqa: ANN401 - JSON
    """Replace the Convex ids in the value by the new ids."""
    if isinstance(value, dict):
        return {name: with_ids(inner, known) for name, inner in value.items()}  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, list):
        return [with_ids(inner, known) for inner in value]  # pyright: ignore[reportUnknownVariableType]
    return known.ids.get(value, value) if isinstance(value, str) else value


@dataclass
class Report:
    """Counts and prints the rejected rows."""

    bad: int = 0

    def refused(self, table: str, id: str, field: str, reason: str) -> None:
        """Report a rejected row."""
        self.bad += 1
        click.echo(f"{table} {id}: {field}: {reason}", err=True)


async def load(collection: Collection, document: type[Document], export: Export, known: Known, report: Report) -> int:
    """Write the rows of a table, and return the number of those that exist afterwards."""
    rows, written = export.rows(collection.name), 0
    while batch := list(islice(rows, BATCH)):
        wires: list[tuple[str, Row]] = []
        for row in batch:
            try:
                wires.append((row["_id"], convert(document, row, known)))
            except ValidationError as error:
                refusal = invalid_input(error)
                report.refused(collection.name, row["_id"], refusal.field, refusal.reason)
        if wires:
            written += await write(collection, wires, report)
    return written


async def write(collection: Collection, wires: list[tuple[str, Row]], report: Report) -> int:
    """Write the documents, each with the id of its row, and return the number of those that exist afterwards."""
    replacements = [ReplaceOne({"_id": wire["_id"]}, wire, upsert=True) for _, wire in wires]
    try:
        await collection.bulk_write(replacements, ordered=False)
    except BulkWriteError as error:
        failures = cast("list[Row]", error.details["writeErrors"])
        for failure in failures:
            fields = ", ".join(failure.get("keyValue", ["document"]))
            reason = "already exists" if "keyValue" in failure else failure["errmsg"]
            report.refused(collection.name, wires[int(failure["index"])][0], fields, reason)
        return len(wires) - len(failures)
    return len(wires)


def counted(table: str, owner: str, filter: Row, number: object = 1) -> Row:
    """Return a lookup that counts the rows of a table that belong to a document, or sums a value of them."""
    total = [{"$match": filter}, {"$group": {"_id": None, "value": {"$sum": number}}}]
    return {"from": table, "localField": "_id", "foreignField": owner, "pipeline": total}


_REACHED = {"$expr": {"$lte": ["$threshold", "$$points"]}}

COUNTERS: tuple[tuple[str, str, Row, int], ...] = (
    ("posts", "likeCount", counted("likes", "targetId", {"targetType": "post"}), 0),
    ("comments", "likeCount", counted("likes", "targetId", {"targetType": "comment"}), 0),
    ("posts", "commentCount", counted("comments", "postId", {"deletedAt": None}), 0),
    ("courses", "enrollmentCount", counted("enrollments", "courseId", {}), 0),
    ("events", "rsvpCount", counted("rsvps", "eventId", {"status": "going"}), 0),
    ("users", "points", counted("points", "userId", {}, "$amount"), 0),
    (
        "users",
        "level",
        {
            "from": "levels",
            "let": {"points": "$points"},
            "pipeline": [{"$match": _REACHED}, {"$group": {"_id": None, "value": {"$max": "$order"}}}],
        },
        1,
    ),
)
"""The counters of each collection: the lookup for the correct value, and the default if it finds nothing."""


async def recount(collection: Collection, counter: str, lookup: Row, default: int) -> int:
    """Correct the counter where it is wrong, and return the number of corrections."""
    pipeline = [
        {"$lookup": lookup | {"as": "right"}},
        {"$set": {"right": {"$ifNull": [{"$first": "$right.value"}, default]}}},
        {"$match": {"$expr": {"$ne": [f"${counter}", "$right"]}}},
        {"$project": {"right": 1}},
    ]
    wrong = await (await collection.aggregate(pipeline)).to_list()
    if wrong:
        await collection.bulk_write(
            [UpdateOne({"_id": row["_id"]}, {"$set": {counter: row["right"]}}) for row in wrong]
        )
    return len(wrong)


async def run(path: Path, uri: str | None) -> bool:
    """Load everything. Return `False` if rows were skipped."""
    report, known = Report(), Known()
    with ZipFile(path) as archive:
        export = Export(archive)
        async with Community.connect(uri) as community, Stories.connect(uri) as stories:
            places = [
                (document, database.database[document.Settings.name])
                for database in (community, stories)
                for document in database.documents
            ]
            for _, collection in places:
                for row in export.rows(collection.name):
                    known.learn(collection.name, row)
            for document, collection in places:
                if collection.name in export.tables:
                    written = await load(collection, document, export, known, report)
                    click.echo(f"{collection.name}: {written:,} rows")
            for table, counter, lookup, default in COUNTERS:
                if changed := await recount(community.database[table], counter, lookup, default):
                    click.echo(f"{table}.{counter}: {changed:,} corrected")
    for table in sorted(export.tables - {collection.name for _, collection in places}):
        click.echo(f"{table}: not a collection of this library, skipped")
    return report.bad == 0


@click.command()
@click.argument("export", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--uri", help="The URI of the databases.  [default: MONGODB_URI]")
def main(export: Path, uri: str | None) -> None:
    """Load a Convex export. Exits with 1 if rows were skipped; the reasons are printed to stderr."""
    try:
        complete = asyncio.run(run(export, uri))
    except DataLayerError as error:
        raise click.ClickException(str(error)) from error
    sys.exit(not complete)


if __name__ == "__main__":
    main()
