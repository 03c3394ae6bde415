"""What no document may be, whoever writes it."""

from typing import Any, Literal, get_origin

import pytest
from bson import ObjectId
from pydantic import ValidationError
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import BulkWriteError, WriteError

from datalayer import Community, Stories
from datalayer.documents import Document
from datalayer.engine.fields import Integer, Json, unwrap
from tests.examples import ALL_DOCUMENTS, full_wire


def _changed(document: type[Document], *, python: bool) -> list[tuple[str, dict[str, Any]]]:
    """A valid wire document with one thing wrong, for each field and each thing; `python` for what a class refuses."""
    changes: list[tuple[str, dict[str, Any]]] = [("unknown field", {"surprise": 1})]
    for field in document.model_fields.values():
        name, (kind, optional) = str(field.alias), unwrap(field.annotation)
        if kind is Json:
            continue
        if not (optional and python):
            # In Python `None` is how an optional field is said to be absent.
            changes.append((f"null {name}", {name: None}))
        changes.append((f"wrong type {name}", {name: {"word": "yes"}}))
        if name != "_id":  # MongoDB itself refuses an array there
            changes.append((f"wrong type {name}", {name: [[]]}))
        if get_origin(kind) is Literal:
            changes.append((f"wrong literal {name}", {name: "surprise"}))
        elif kind is int:
            changes += [(f"{value!r} for a number {name}", {name: value}) for value in (True, "3", 2.5, float("nan"))]
        elif kind is str:
            changes.append((f"number for a string {name}", {name: 3}))
        elif kind is bool:
            changes.append((f"number for a boolean {name}", {name: 1}))
        elif "Id" in str(kind) and get_origin(kind) is not list and "StorageId" not in str(kind):
            changes.append((f"string id {name}", {name: str(ObjectId())}))
    return changes


def _missing(document: type[Document]) -> list[str]:
    fields = document.model_fields.values()
    return [str(field.alias) for field in fields if field.alias != "_id" and not unwrap(field.annotation)[1]]


@pytest.mark.parametrize("document", ALL_DOCUMENTS)
def test_the_class_refuses(document: type[Document]) -> None:
    """Pydantic refuses each, and names the field."""
    valid = full_wire(document)
    assert document.model_validate(valid).to_wire() == valid
    for what, change in _changed(document, python=True):
        with pytest.raises(ValidationError) as refusal:
            document.model_validate(valid | change)
        assert next(iter(change)) in str(refusal.value), what
    for name in _missing(document):
        with pytest.raises(ValidationError, match=name):
            document.model_validate({key: value for key, value in valid.items() if key != name})


@pytest.mark.parametrize("document", ALL_DOCUMENTS)
async def test_the_server_refuses(document: type[Document], community: Community, stories: Stories) -> None:
    """The validator refuses each from a client that knows nothing of the documents."""
    databases: list[AsyncDatabase[dict[str, Any]]] = [community.database, stories.database]
    database = next(
        item for item in databases if document in (Community if item is databases[0] else Stories).documents
    )
    collection = database[document.Settings.name]
    valid = full_wire(document)
    wrong = {what: valid | change for what, change in _changed(document, python=False)}
    wrong |= {f"no {gone}": {name: valid[name] for name in valid if name != gone} for gone in _missing(document)}
    with pytest.raises(BulkWriteError) as refusal:
        await collection.insert_many(wrong.values(), ordered=False)
    codes = {list(wrong)[error["index"]]: error["code"] for error in refusal.value.details["writeErrors"]}
    assert codes == dict.fromkeys(wrong, 121)
    await collection.insert_one(valid)
    integral_doubles = {
        str(field.alias): 7.0
        for field in document.model_fields.values()
        if any(isinstance(limit, Integer) for limit in field.metadata)
    }
    if integral_doubles:
        await collection.update_one({"_id": valid["_id"]}, {"$set": integral_doubles})
    stored = document.from_wire(await collection.find_one() or {})
    for name in (name for name, field in document.model_fields.items() if field.alias in integral_doubles):
        value = getattr(stored, name)
        assert (value, type(value)) == (7, int)


@pytest.mark.parametrize("document", ALL_DOCUMENTS)
async def test_limits_are_the_same_in_python_and_in_the_server(
    document: type[Document], community: Community, stories: Stories
) -> None:
    """A string of the greatest length passes both, one more character passes neither; astral characters count once."""
    database = community.database if document in Community.documents else stories.database
    collection = database[document.Settings.name]
    valid = full_wire(document)
    schema = (await (await database.list_collections(filter={"name": collection.name})).to_list())[0]
    properties = schema["options"]["validator"]["$jsonSchema"]["properties"]
    lengths = {name: rule["maxLength"] for name, rule in properties.items() if "maxLength" in rule}
    for name in (name for name, rule in properties.items() if rule.get("bsonType") == "array"):
        longest = properties[name]["maxItems"]
        too_long = valid | {name: [valid[name][0]] * (longest + 1)}
        with pytest.raises(ValidationError, match=name):
            document.model_validate(too_long)
        with pytest.raises(WriteError):
            await collection.insert_one(too_long)
    for name, length in lengths.items():
        longest = valid | {name: "\N{FAMILY}" * length}
        document.model_validate(longest)
        await collection.insert_one(longest)
        await collection.delete_one({"_id": longest["_id"]})
        with pytest.raises(ValidationError, match=name):
            document.model_validate(longest | {name: "a" * (length + 1)})
        with pytest.raises(WriteError):
            await collection.insert_one(longest | {name: "a" * (length + 1)})
