"""The documents, the validators and the live indexes say what the original schema says."""

import json
from pathlib import Path
from typing import Any, Literal, NewType, get_args, get_origin

import pytest
from bson import ObjectId

from datalayer import Community, Stories
from datalayer.documents import Document
from datalayer.engine.fields import Json, unwrap
from datalayer.schema.validators import validator
from tests.examples import ALL_DOCUMENTS

FACTS: dict[str, dict[str, Any]] = json.loads((Path(__file__).parent / "convex-schema.json").read_text())
TABLES: dict[str, Any] = {name: table for product in FACTS.values() for name, table in product.items()}
DOCUMENTS = {document.Settings.name: document for document in ALL_DOCUMENTS}

ADDED_FIELDS = {
    "users": {"name", "authUserId", "revision"},
    "spaces": {"revision"},
    "posts": {"revision"},
    "comments": {"revision"},
    "likes": {"notificationId"},
    "notifications": {"gatherKey", "gatherCount", "once"},
    "courses": {"revision", "removing"},
    "modules": {"revision"},
    "enrollments": {"revision"},
    "events": {"seriesEndTime", "revision"},
    "memberships": {"stripeEventAt", "stripeEventIds", "stripeSubscriptions"},
    "conversations": {"revision"},
    "levels": {"usersPending"},
    "stories": {"revision"},
    "chapters": {"revision"},
    "scenes": {"generationToken", "generationStartedAt"},
}
"""The optional fields that rules need beyond the original's."""

NATIVE_TARGETS = {("likes", "targetId"), ("reports", "targetId")}
"""Strings in the original, which has no references to one of several tables; here they are the targets' own ids."""

AVATAR_COPIES = {("posts", "authorAvatar"), ("comments", "authorAvatar"), ("notifications", "actorAvatar")}
"""Plain strings in the original, which hold a user's `avatarStorageId`."""

ID_TYPES = {name: document.__annotations__["id"] for name, document in DOCUMENTS.items()}

UNIQUE = {
    *("likes.by_userId_and_target", "enrollments.by_userId_and_courseId", "lessonProgress.by_userId_and_lessonId"),
    *("rsvps.by_eventId_and_userId", "memberships.by_userId", "memberships.by_stripeCustomerId"),
    *("gamificationConfig.by_action", "levels.by_order", "levels.by_threshold"),
    *("follows.by_followerId_and_followingId", "spaceVisits.by_userId_and_spaceId"),
}
"""The original indexes that became unique."""


def test_there_are_27_tables_with_55_indexes() -> None:
    """The facts are whole, and every table has a document."""
    assert [len(FACTS["community"]), len(FACTS["stories"])] == [23, 4]
    assert [sum(len(table["indexes"]) for table in product.values()) for product in FACTS.values()] == [51, 4]
    assert DOCUMENTS.keys() == TABLES.keys()


@pytest.mark.parametrize("table", TABLES)
def test_fields(table: str) -> None:
    """Every field has the original's name, type, optionality and reference, and none is added but those listed."""
    fields = {field.alias: field.annotation for field in DOCUMENTS[table].model_fields.values() if field.alias != "_id"}
    original = TABLES[table]["fields"]
    assert fields.keys() - ADDED_FIELDS.get(table, set()) == original.keys()
    for name, fact in original.items():
        kind, optional = unwrap(fields[name])
        assert optional == fact["optional"], name
        if (table, name) in NATIVE_TARGETS:
            assert {ID_TYPES[f"{target}s"] for target in _literals(DOCUMENTS[table], "targetType")} == set(
                get_args(kind)
            )
        else:
            expected = "id of _storage" if (table, name) in AVATAR_COPIES else _flat(fact["type"])
            assert _as_fact(kind) == expected, name
    assert all(unwrap(fields[name])[1] for name in ADDED_FIELDS.get(table, ()))


@pytest.mark.parametrize("table", TABLES)
def test_validators(table: str) -> None:
    """The validator asks for the original's fields with its types, and for no others."""
    schema: dict[str, Any] = validator(DOCUMENTS[table])["$jsonSchema"]  # type: ignore[assignment]
    original = TABLES[table]["fields"]
    assert schema["additionalProperties"] is False
    assert set(schema["required"]) == {"_id"} | {name for name, fact in original.items() if not fact["optional"]}
    assert schema["properties"].keys() == {"_id"} | original.keys() | ADDED_FIELDS.get(table, set())
    for name, fact in original.items():
        expected = {"bsonType": "objectId"} if (table, name) in NATIVE_TARGETS else _json_schema(fact["type"])
        assert _shape(schema["properties"][name]) == expected, name


async def test_live_indexes(community: Community, stories: Stories) -> None:
    """Each original index is there under its name, with its fields in their order, ending in `_id` unless unique."""
    for product, database in (("community", community.database), ("stories", stories.database)):
        for table, fact in FACTS[product].items():
            live = await database[table].index_information()
            for index in fact["indexes"]:
                unique = f"{table}.{index['name']}" in UNIQUE
                keys = [(field, 1) for field in index["fields"]] + [("_id", 1)] * (not unique)
                assert (live[index["name"]]["key"], live[index["name"]].get("unique", False)) == (keys, unique)


def _literals(document: type[Document], wire: str) -> tuple[str, ...]:
    return next(get_args(field.annotation) for field in document.model_fields.values() if field.alias == wire)


def _flat(fact: Any) -> Any:
    """A type of the facts as this test writes it: literals as a set, references by table."""
    if isinstance(fact, str):
        return fact
    if "union" in fact:
        return {arm["literal"] for arm in fact["union"]}
    if "id" in fact:
        return f"id of {fact['id']}"
    if "array" in fact:
        return [_flat(fact["array"])]
    return {name: (_flat(field["type"]), field["optional"]) for name, field in fact.items()}


def _as_fact(kind: Any) -> Any:
    """A type of a document's field in the same words."""
    if kind is Json:
        return "any"
    if get_origin(kind) is Literal:
        return set(get_args(kind))
    if get_origin(kind) is list:
        return [_as_fact(unwrap(get_args(kind)[0])[0])]
    if isinstance(kind, NewType):
        tables = {id_type: table for table, id_type in ID_TYPES.items()}
        return f"id of {tables.get(kind, '_storage')}"  # type: ignore[call-overload]
    if hasattr(kind, "model_fields"):
        fields = {field.alias: unwrap(field.annotation) for field in kind.model_fields.values()}
        return {name: (_as_fact(inner), optional) for name, (inner, optional) in fields.items()}
    return {str: "string", int: "number", bool: "boolean"}[kind]


def _json_schema(fact: Any) -> Any:
    """What the validator should say of a type of the facts, without limits."""
    if isinstance(fact, str):
        number = {"bsonType": ["int", "long", "double"], "multipleOf": 1}
        return {"string": {"bsonType": "string"}, "number": number, "boolean": {"bsonType": "bool"}, "any": {}}[fact]
    if "union" in fact:
        return {"bsonType": "string", "enum": {arm["literal"] for arm in fact["union"]}}
    if "id" in fact:
        return {"bsonType": "string" if fact["id"] == "_storage" else "objectId"}
    if "array" in fact:
        return {"bsonType": "array", "items": _json_schema(fact["array"])}
    required = {name for name, field in fact.items() if not field["optional"]}
    return {name: _json_schema(field["type"]) for name, field in fact.items()} | {"required": required}


def _shape(schema: dict[str, Any]) -> Any:
    """A part of a validator without its limits."""
    if schema.get("bsonType") == "object":
        inner = {name: _shape(field) for name, field in schema["properties"].items()}
        return inner | {"required": set(schema["required"])}
    shape = {key: value for key, value in schema.items() if key in ("bsonType", "multipleOf", "enum", "items")}
    if "enum" in shape:
        shape["enum"] = set(shape["enum"])
    if "items" in shape:
        shape["items"] = _shape(shape["items"])
    return shape


def test_ids_are_plain_object_ids() -> None:
    """The id types exist for the type checker only."""
    assert all(type(id_type(ObjectId())) is ObjectId for id_type in ID_TYPES.values())
