"""The import of a Convex export: the seeded world, as Convex would export it."""

import json
import math
from collections.abc import AsyncIterator
from hashlib import blake2b
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
from bson import ObjectId
from hypothesis import given
from hypothesis import strategies as st
from pymongo import AsyncMongoClient

from datalayer import Community, Stories
from examples.import_convex import main, object_id, run
from tests.processes import called
from tests.seeding.invariants import violations
from tests.seeding.places import TINY, Place
from tests.seeding.rows import TABLES, Data, Row

ROOT = Path(__file__).parents[2]
SCHEMA = json.loads((ROOT / "tests/schema/convex-schema.json").read_text())
ORIGINAL: dict[str, dict[str, Any]] = {**SCHEMA["community"], **SCHEMA["stories"]}

COUNTERS = ("likeCount", "commentCount", "enrollmentCount", "rsvpCount", "points", "level")

Tables = dict[str, list[Row]]


@pytest.fixture(scope="module")
async def source(server_uri: str) -> AsyncIterator[Place]:
    """A very small world."""
    async with (
        AsyncMongoClient[Any](server_uri) as client,
        Community.over(client.convexsource) as community,
        Stories.over(client.convexsource) as stories,
    ):
        place = Place(community, stories)
        await place.fill(TINY)
        yield place
        await client.drop_database("convexsource")


@pytest.fixture(scope="module")
async def _target(server_uri: str, client: AsyncMongoClient[Any]) -> AsyncIterator[tuple[str, Any]]:
    yield server_uri.replace("/?", "/conveximport?"), client.conveximport
    await client.drop_database("conveximport")


@pytest.fixture
async def target(_target: tuple[str, Any]) -> AsyncIterator[tuple[str, Any]]:
    """An empty database for the import: its URI, and its handle."""
    yield _target
    for table in TABLES:
        await _target[1][table].delete_many({})


def convex_id(table: str, id: ObjectId) -> str:
    """An id in the form of Convex's; their order is not that of creation."""
    return blake2b(f"{table}{id}".encode(), digest_size=16).hexdigest()


def exported(data: Data) -> Tables:
    """The rows as Convex has them: the original's fields only, ids as strings, numbers as doubles, wrong counters."""
    ids = {str(row["_id"]): convex_id(table, row["_id"]) for table in TABLES for row in data[table]}

    def out(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: out(inner) for name, inner in value.items()}
        if isinstance(value, list):
            return [out(inner) for inner in value]
        if isinstance(value, ObjectId):
            return ids[str(value)]
        if isinstance(value, str) and ":" in value:
            return ":".join(ids.get(part, part) for part in value.split(":"))
        if isinstance(value, str):
            return ids.get(value, value)
        return float(value) if isinstance(value, int) and not isinstance(value, bool) else value

    tables: Tables = {}
    for table in TABLES:
        fields = ORIGINAL[table]["fields"].keys()
        tables[table] = [
            {
                **{name: out(value) for name, value in row.items() if name in fields},
                **{name: 7.0 for name in COUNTERS if name in row and name in fields and table != "points"},
                "_id": ids[str(row["_id"])],
                # Convex tells the rows of one mutation apart by fractions of a millisecond.
                "_creationTime": 1_700_000_000_000 + number * 0.25,
            }
            for number, row in enumerate(data[table])
        ]
        tables[table].sort(key=lambda row: row["_id"])
    return tables


def write(path: Path, tables: Tables) -> Path:
    """The export's file."""
    with ZipFile(path, "w") as archive:
        archive.writestr("README.md", "Welcome")
        archive.writestr("_tables/documents.jsonl", "")
        for table, rows in tables.items():
            archive.writestr(f"{table}/documents.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
            archive.writestr(f"{table}/generated_schema.jsonl", '"uniform"\n')
    return path


def by_place(data: Data) -> Tables:
    """The rows with the original's fields only, and each id replaced by its table and place in order of creation."""
    places = {str(row["_id"]): f"{table} {place}" for table in TABLES for place, row in enumerate(data[table])}

    def named(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: named(inner) for name, inner in value.items()}
        if isinstance(value, list):
            return [named(inner) for inner in value]
        if isinstance(value, ObjectId):
            return places[str(value)]
        return ":".join(places.get(part, part) for part in value.split(":")) if isinstance(value, str) else value

    def fields(table: str, row: Row) -> Row:
        kept = {name: named(value) for name, value in row.items() if name in ORIGINAL[table]["fields"]}
        if "participantIds" in kept:
            kept["participantIds"] = set(kept["participantIds"])
        return kept

    return {table: [fields(table, row) for row in data[table]] for table in TABLES}


async def test_an_import_is_the_community_that_was_exported(
    source: Place, target: tuple[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every row in the order of creation, with every reference; counters are right although the export's were not."""
    uri, database = target
    before = await Data.read(source.database)
    assert await run(write(tmp_path / "export.zip", exported(before)), uri)
    assert by_place(await Data.read(database)) == by_place(before)
    async with Stories.over(database) as stories:
        # A run that was under way in Convex has no token here.
        await stories.scenes.release_stale(0)
    assert await violations(database) == []
    output = capsys.readouterr()
    assert f"posts: {len(before['posts'])} rows" in output.out
    assert "posts.likeCount: " in output.out
    assert output.err == ""


async def test_a_second_run_and_an_interrupted_one_give_the_same(
    source: Place, target: tuple[str, Any], tmp_path: Path
) -> None:
    uri, database = target
    path = write(tmp_path / "export.zip", exported(await Data.read(source.database)))
    await run(path, uri)
    first = await Data.read(database)
    await run(path, uri)
    assert await Data.read(database) == first
    for table in ("likes", "posts", "users"):
        await database[table].delete_many({"_id": {"$gt": first[table][len(first[table]) // 2]["_id"]}})
    await run(path, uri)
    assert await Data.read(database) == first


def unknown_field(tables: Tables) -> tuple[str, str, str]:
    tables["spaces"][0]["colour"] = "red"
    return "spaces", tables["spaces"][0]["_id"], "colour"


def dangling_reference(tables: Tables) -> tuple[str, str, str]:
    tables["likes"][3]["targetId"] = "jd7gone"
    return "likes", tables["likes"][3]["_id"], "targetId"


def fraction(tables: Tables) -> tuple[str, str, str]:
    tables["levels"][1]["threshold"] = 1.5
    return "levels", tables["levels"][1]["_id"], "threshold"


def missing_author(tables: Tables) -> tuple[str, str, str]:
    del tables["comments"][0]["authorId"]
    return "comments", tables["comments"][0]["_id"], "authorId"


def second_like(tables: Tables) -> tuple[str, str, str]:
    again = tables["likes"][0] | {"_id": "zz-again", "_creationTime": 1_700_000_900_000.0}
    tables["likes"].append(again)
    return "likes", "zz-again", "userId, targetType, targetId"


SPOILS = (unknown_field, dangling_reference, fraction, missing_author, second_like)


async def test_bad_rows_are_named_and_left_out(
    source: Place, target: tuple[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By table, id and field; all others are there."""
    uri, database = target
    tables = exported(await Data.read(source.database))
    tables = {table: tables[table] for table in ("users", "spaces", "posts", "comments", "likes", "levels")}
    bad = [spoil(tables) for spoil in SPOILS]
    assert not await run(write(tmp_path / "export.zip", tables), uri)
    reported = [": ".join(line.split(": ")[:2]) for line in capsys.readouterr().err.splitlines()]
    assert sorted(reported) == sorted(f"{table} {id}: {field}" for table, id, field in bad)
    for table, rows in tables.items():
        left_out = sum(name == table for name, _, _ in bad)
        assert await database[table].count_documents({}) == len(rows) - left_out


@given(st.floats(1e12, 2e12), st.text(max_size=5), st.text(max_size=5))
def test_ids_sort_by_creation(time: float, one: str, other: str) -> None:
    """To the last digit that a double of today's milliseconds has, whatever the ids are."""
    first = {"_id": one, "_creationTime": time}
    for later in (math.nextafter(time, math.inf), time + 1, time + 1_000):
        assert object_id("posts", first) < object_id("posts", {"_id": other, "_creationTime": later})
    assert object_id("posts", first) == object_id("posts", dict(first))


async def test_the_command_says_what_it_left_out(
    target: tuple[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = {"_id": "k1", "_creationTime": 1.7e12, "name": "", "createdAt": 1.0}
    path = write(tmp_path / "export.zip", {"spaces": [row], "drafts": [row]})
    monkeypatch.setenv("MONGODB_URI", target[0])
    status, output, errors = await called(main, str(path))
    assert status == 1
    assert output.splitlines() == ["spaces: 0 rows", "drafts: not a collection of this library, skipped"]
    assert errors.startswith("spaces k1: name: ")
