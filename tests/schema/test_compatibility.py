"""Two releases share a database: which differences let the older one start, and which do not."""

import copy
from collections.abc import AsyncIterator, Iterator
from typing import Annotated, Any, Literal, cast
from uuid import uuid4

import pytest
from bson import Int64, ObjectId
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import Field
from pymongo import AsyncMongoClient
from pymongo.asynchronous.database import AsyncDatabase

from datalayer.documents import Document, Index
from datalayer.engine.document import Record, new_id
from datalayer.engine.fields import Count, Name, Text
from datalayer.engine.indexes import TableSettings
from datalayer.errors import SchemaDriftError
from datalayer.ids import UserId
from datalayer.schema import ensure_schema
from datalayer.schema.application import apply, plan_for, rehearse
from datalayer.schema.compatibility import accepts
from tests.indexes.things import Silence

Database = AsyncDatabase[dict[str, Any]]
Schema = dict[str, Any]


# Schemas of our own form, small enough that the values at their limits show every difference.

_TYPES = ["int", "long", "double"]
_types = st.lists(st.sampled_from(_TYPES), min_size=1, unique=True)
_numbers = st.builds(
    lambda types, low, size, whole: {
        "bsonType": types,
        **({"multipleOf": 1} if whole else {}),
        "minimum": low,
        "maximum": low + size,
    },
    _types,
    st.integers(0, 2),
    st.integers(1, 2),
    st.booleans(),
)
_strings = st.builds(
    lambda low, size: {"bsonType": "string", **({"minLength": low} if low else {}), "maxLength": low + size},
    st.integers(0, 2),
    st.integers(1, 2),
)
_enums = st.lists(st.sampled_from("abc"), min_size=1, unique=True).map(
    lambda values: {"bsonType": "string", "enum": values}
)
_plain = st.sampled_from([{"bsonType": "bool"}, {"bsonType": "objectId"}, {}])
_scalars = _numbers | _strings | _enums | _plain


def _arrays(items: st.SearchStrategy[Schema]) -> st.SearchStrategy[Schema]:
    sizes = st.tuples(st.integers(0, 1), st.integers(1, 2))
    return st.builds(
        lambda size, item: {"bsonType": "array", "minItems": size[0], "maxItems": sum(size), "items": item},
        sizes,
        items,
    )


@st.composite
def _objects(draw: st.DrawFn, values: st.SearchStrategy[Schema]) -> Schema:
    properties = draw(st.dictionaries(st.sampled_from("pqr"), values, min_size=1, max_size=3))
    names = draw(st.lists(st.sampled_from(sorted(properties)), unique=True))
    required = {"required": names} if names else {}
    return {"bsonType": "object", **required, "properties": properties, "additionalProperties": False}


_schemas = _objects(_scalars | _arrays(_scalars) | _objects(_scalars))


@st.composite
def _releases(draw: st.DrawFn) -> tuple[Schema, Schema]:
    """A schema, and another one that is like it but for one to three changes, to more or to less."""
    declared = draw(_schemas)
    live = copy.deepcopy(declared)
    for _ in range(draw(st.integers(1, 3))):
        part = draw(st.sampled_from([part for part in _parts(live) if part]))
        missing = {"multipleOf"} - part.keys() if "minimum" in part else ()
        draw(_change(part, draw(st.sampled_from([*part, *missing]))))
    return live, declared


def _parts(schema: Schema) -> Iterator[Schema]:
    """The schema, and all schemas inside it."""
    yield schema
    for inner in [*schema.get("properties", {}).values(), *([schema["items"]] if "items" in schema else [])]:
        yield from _parts(inner)


@st.composite
def _change(draw: st.DrawFn, schema: Schema, keyword: str) -> None:
    value = schema.get(keyword)
    if keyword == "properties":
        name = draw(st.sampled_from("pqrs"))
        schema[keyword].pop(name, None) or schema[keyword].update({name: draw(_scalars)})
    elif keyword == "required":
        schema[keyword] = draw(st.lists(st.sampled_from("pqrs"), min_size=1, unique=True))
    elif keyword == "enum":
        schema[keyword] = draw(st.lists(st.sampled_from("abcd"), min_size=1, unique=True))
    elif isinstance(value, list):
        schema[keyword] = draw(_types)
    elif keyword == "additionalProperties":
        schema[keyword] = not value
    elif keyword in ("multipleOf", "bsonType"):
        schema.pop(keyword, None) or schema.update({keyword: 1})
    elif isinstance(value, int):
        schema[keyword] = max(0, value + draw(st.sampled_from([-1, 1])))


def _samples(schema: Schema) -> list[Any]:
    """Values at all limits of what the schema accepts."""
    if "enum" in schema:
        return list(schema["enum"])
    kind = schema.get("bsonType")
    if isinstance(kind, list):
        return list(_numbers_of(schema))
    if kind == "string":
        return ["x" * schema.get("minLength", 0), "x" * schema["maxLength"]]
    if kind == "array":
        items = _samples(schema["items"])
        return [[item] * size for item in items for size in (schema["minItems"], schema["maxItems"])]
    if kind == "object":
        return list(_objects_of(schema))
    return {"bool": [True], "objectId": [ObjectId()]}.get(
        cast("str", kind), [None, 1, 0.5, "x", "xxxxxxx", [], {"t": 1}]
    )


def _numbers_of(schema: Schema) -> Iterator[Any]:
    for kind in schema["bsonType"]:
        for limit in (schema["minimum"], schema["maximum"]):
            yield {"int": int, "long": Int64, "double": float}[kind](limit)
    if "double" in schema["bsonType"] and "multipleOf" not in schema:
        yield schema["minimum"] + 0.5


def _objects_of(schema: Schema) -> Iterator[Schema]:
    samples = {name: _samples(inner) for name, inner in schema["properties"].items()}
    least = {name: samples[name][0] for name in schema.get("required", ())}
    yield least
    for name, values in samples.items():
        for value in values:
            yield least | {name: value}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(releases=_releases())
async def test_a_validator_is_compatible_where_the_server_accepts_the_same_documents(
    client: AsyncMongoClient[dict[str, Any]], releases: tuple[Schema, Schema]
) -> None:
    """Not more and not less: a document at the limits of the declared one tells, wherever it is not."""
    live, declared = releases
    documents = [{"document": sample} for sample in _samples(declared)]
    inside = {"bsonType": "object"}
    cursor = await client["compatibility"].aggregate(
        [
            {"$documents": [{"$literal": document} for document in documents]},
            {"$match": {"$jsonSchema": inside | {"properties": {"document": declared}}}},
            {
                "$facet": {
                    "declared": [{"$count": "number"}],
                    "live": [
                        {"$match": {"$jsonSchema": inside | {"properties": {"document": live}}}},
                        {"$count": "number"},
                    ],
                }
            },
        ]
    )
    found = (await cursor.to_list())[0]
    assert found["declared"] == [{"number": len(documents)}]
    accepted = found["live"] == found["declared"]
    assert accepts({"$jsonSchema": live}, {"$jsonSchema": declared}) == accepted


@pytest.mark.parametrize(
    ("live", "declared"),
    [
        ({}, {"$jsonSchema": {}}),
        ({"name": {"$type": "string"}}, {"$jsonSchema": {}}),
        ({"$jsonSchema": {"not": {"bsonType": "int"}}}, {"$jsonSchema": {"bsonType": "string"}}),
        ({"$jsonSchema": {}}, {"$jsonSchema": {"patternProperties": {}}}),
        ({"$jsonSchema": {"items": [{}, {}]}}, {"$jsonSchema": {"items": {}}}),
        ({"$jsonSchema": {"properties": {"a": {"bsonType": "int"}}}}, {"$jsonSchema": {"bsonType": "object"}}),
        ({"$jsonSchema": {}, "$expr": {"$gt": ["$a", 1]}}, {"$jsonSchema": {}}),
        ({"$jsonSchema": {}, "$expr": {"$gt": ["$a", 1]}}, {"$jsonSchema": {}, "$expr": {"$gt": ["$a", 2]}}),
    ],
)
def test_what_is_not_understood_is_incompatible(live: Schema, declared: Schema) -> None:
    """Also where it is wider, or where Python takes for equal what MongoDB does not."""
    assert not accepts(live, declared)


def test_a_condition_beside_the_fields_may_be_missing() -> None:
    """Then more is accepted."""
    one, other = {"$expr": {"$gt": ["$a", 1]}}, {"a": {"$ne": 2}}
    for more in (one | other, {"$and": [one, other]}, {"$and": [one], **other}):
        for less in ({}, one, {"$and": [other]}):
            assert accepts({"$jsonSchema": {}, **less}, {"$jsonSchema": {}, **more})
            assert not accepts({"$jsonSchema": {}, **more}, {"$jsonSchema": {}, **less})


class Part(Record):
    """A part of a thing."""

    name: Name


class Old(Document):
    """A thing, of the release that runs."""

    id: UserId = new_id()
    owner: Name
    place: Count
    kind: Literal["a", "b"]
    tags: Annotated[list[Name], Field(max_length=3)]
    part: Part | None = None

    class Settings(TableSettings):
        """The collection."""

        name = "things"
        indexes = (
            Index("by_owner_and_place", "owner", "place", unique=True),
            Index("by_kind", "kind", where={"place": 1}),
            Index("by_owner_and_kind", "owner", "kind", unique=True, where={"place": 1}),
        )


class NewPart(Part):
    """A part of a thing, of the next release."""

    colour: Name | None = None


class New(Document):
    """A thing, of the next release: more fields, more literals, larger limits, more indexes."""

    id: UserId = new_id()
    owner: Annotated[str, Text(0, 200)]
    place: Count | None = None
    kind: Literal["c", "b", "a"]
    tags: Annotated[list[Name], Field(max_length=5)]
    part: NewPart | None = None
    email: Name | None = None

    class Settings(TableSettings):
        """The collection."""

        name = "things"
        indexes = (
            Index("by_owner_and_place", "owner", "place", unique=True),
            Index("by_kind", "kind", where={"place": 1}),
            Index("by_owner_and_kind", "owner", "kind", unique=True, where={"place": 1}),
            Index("by_place", "place"),
            Index("by_email", "email", unique=True, where={"email": {"$exists": True}}),
        )


@pytest.fixture
async def empty(client: AsyncMongoClient[dict[str, Any]]) -> AsyncIterator[Database]:
    """A database of the test's own."""
    database = client[f"compatibility_{uuid4().hex[:8]}"]
    yield database
    await client.drop_database(database)


async def test_the_old_release_restarts_after_apply(empty: Database) -> None:
    """In both modes, while the new one comes; it writes what it always wrote, and reads what the new one writes."""
    await apply(empty, [Old], Silence())
    await apply(empty, [New], Silence())
    for mode in ("verify", "create"):
        await ensure_schema(empty, [Old], mode)  # type: ignore[arg-type]
    assert (await rehearse(empty, [Old])).ready
    assert len(await plan_for(empty, [Old])) == 3
    await empty.things.insert_one(Old(owner="Ada", place=1, kind="a", tags=[]).to_wire())
    newer = New(owner="", place=2, kind="c", tags=[], email="ada", part=NewPart(name="x", colour="red"))
    await empty.things.insert_one(newer.to_wire())
    read = Old.from_wire(await empty.things.find_one({"_id": newer.id}) or {})
    assert (read.place, read.part) == (2, Part(name="x"))


async def test_the_new_release_does_not_start_before_apply(empty: Database) -> None:
    """Its documents would be refused: each of its changes is one that the old schema is too narrow for."""
    await apply(empty, [Old], Silence())
    for mode in ("verify", "create"):
        with pytest.raises(SchemaDriftError, match="things: its validator is different"):
            await ensure_schema(empty, [New], mode)  # type: ignore[arg-type]


async def test_what_narrows_comes_after_the_code(empty: Database) -> None:
    """The code that needs less runs first, and `apply --drop` takes the rest away when no older one does."""
    await apply(empty, [New], Silence())
    await ensure_schema(empty, [Old], "verify")
    await apply(empty, [Old], Silence())
    await ensure_schema(empty, [New], "verify")
    await apply(empty, [Old], Silence(), drop=True)
    await ensure_schema(empty, [Old], "verify")
    with pytest.raises(SchemaDriftError):
        await ensure_schema(empty, [New], "verify")


HARMLESS: dict[str, Schema] = {
    "for queries": {"key": {"place": -1, "kind": 1}, "collation": {"locale": "en"}, "sparse": True},
    "for searches": {"key": {"owner": "text"}},
    "for any field": {"key": {"$**": 1}},
    "implied by a declared one": {"key": {"place": 1, "kind": 1, "owner": -1}, "unique": True},
    "implied, and partial": {
        "key": {"place": 1, "owner": 1, "_id": 1},
        "unique": True,
        "partialFilterExpression": {"place": {"$gt": 1}},
    },
    "of a field that the old release does not know": {
        "key": {"email": 1},
        "unique": True,
        "partialFilterExpression": {"email": {"$exists": True}},
    },
}
HARMFUL: dict[str, Schema] = {
    "unique": {"key": {"owner": 1}, "unique": True},
    "unique, where the declared one is partial": {"key": {"kind": 1, "owner": 1, "part": 1}, "unique": True},
    "unique, and for places": {"key": {"place": "2d", "owner": 1}, "unique": True},
    "unique and hidden": {"key": {"owner": 1}, "unique": True, "hidden": True},
    "soon unique": {"key": {"owner": 1}, "prepareUnique": True},
    "unique without regard to case": {
        "key": {"owner": 1, "place": 1},
        "unique": True,
        "collation": {"locale": "en", "strength": 1},
    },
    "unique, of a field that is not there": {"key": {"email": 1}, "unique": True},
    "unique, where a field is not there": {
        "key": {"kind": 1},
        "unique": True,
        "partialFilterExpression": {"email": None},
    },
    "removing": {"key": {"at": 1}, "expireAfterSeconds": 60},
    "refusing arrays": {"key": {"tags": "hashed"}},
    "refusing what is no place": {"key": {"owner": "2dsphere"}},
}


@pytest.mark.parametrize("what", [*HARMLESS, *HARMFUL])
async def test_indexes_that_nobody_declares(empty: Database, what: str) -> None:
    """One that finds documents stops no start, one that refuses or removes them does; `check` reports both."""
    await apply(empty, [Old], Silence())
    await empty.command("createIndexes", "things", indexes=[{"name": "mine", **(HARMLESS | HARMFUL)[what]}])
    assert [step.name for step in await plan_for(empty, [Old])] == ["mine"]
    for mode in ("verify", "create"):
        if what in HARMLESS:
            await ensure_schema(empty, [Old], mode)  # type: ignore[arg-type]
        else:
            with pytest.raises(SchemaDriftError, match=r"things.mine: no document declares it, and it may reject"):
                await ensure_schema(empty, [Old], mode)  # type: ignore[arg-type]


FORMS: dict[str, tuple[str, Schema, bool]] = {
    "without its filter": ("by_kind", {"key": {"kind": 1, "_id": 1}}, True),
    "with another filter": ("by_kind", {"key": {"kind": 1, "_id": 1}, "partialFilterExpression": {"place": 2}}, False),
    "with more fields": ("by_kind", {"key": {"kind": 1, "place": 1, "_id": 1}}, False),
    "unique": ("by_kind", {"key": {"kind": 1, "_id": 1}, "unique": True}, False),
    "hidden": ("by_kind", {"key": {"kind": 1, "_id": 1}, "hidden": True}, False),
    "not unique": ("by_owner_and_kind", {"key": {"owner": 1, "kind": 1}}, False),
    "unique without its filter": ("by_owner_and_kind", {"key": {"owner": 1, "kind": 1}, "unique": True}, False),
}


@pytest.mark.parametrize("form", FORMS)
async def test_a_declared_index_of_another_form(empty: Database, form: str) -> None:
    """Queries name it and rely on its order: only one that holds the same in the same order will do."""
    name, shape, starts = FORMS[form]
    await apply(empty, [Old], Silence())
    await empty.things.drop_index(name)
    await empty.command("createIndexes", "things", indexes=[{"name": name, **shape}])
    assert any(step.required for step in await plan_for(empty, [Old])) != starts
    if starts:
        await ensure_schema(empty, [Old], "verify")
    else:
        with pytest.raises(SchemaDriftError, match=rf"things.{name}: its keys or options are different"):
            await ensure_schema(empty, [Old], "verify")
