"""Finds what blocks a step: documents that the new index or validator would not allow."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, cast

from bson import ObjectId

from datalayer.schema.live import Database
from datalayer.schema.plan import Action, Step
from datalayer.schema.tables import IndexShape

EXAMPLES = 5
"""The number of examples in a problem."""


async def problem(database: Database, step: Step) -> str | None:
    """Return why the step cannot be done, or `None` if it can. Reads the whole collection, or all of its keys."""
    if step.action is Action.BUILD_INDEX and step.shape is not None and step.shape.unique:
        return await _duplicates(database, step.collection, step.shape)
    if step.action is Action.SET_VALIDATOR and step.validator is not None:
        return await violations(database, step.collection, step.validator)
    return None


async def violations(database: Database, collection: str, validator: Mapping[str, Any]) -> str | None:
    """Describe how many documents violate the validator, with examples and a query. `None` if there are none."""
    breaking = {"$nor": [validator]}
    examples = await database[collection].find(breaking, {"_id": 1}, limit=EXAMPLES).to_list()
    if not examples:
        return None
    count = await database[collection].count_documents(breaking)
    ids = ", ".join(repr(example["_id"]) for example in examples)
    return f"{count} in {collection}, for example {ids}; find them with db.{collection}.find({_in_shell(breaking)})"


def _in_shell(value: object) -> str:
    """Format the value for mongosh."""
    if isinstance(value, Mapping):
        pairs = cast("Mapping[str, object]", value).items()
        return "{" + ", ".join(f"{json.dumps(name)}: {_in_shell(inner)}" for name, inner in pairs) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_in_shell(inner) for inner in cast("Sequence[object]", value)) + "]"
    return f'ObjectId("{value}")' if isinstance(value, ObjectId) else json.dumps(value)


async def _duplicates(database: Database, collection: str, shape: IndexShape) -> str | None:
    key = {f"key{place}": _value(name) for place, (name, _) in enumerate(shape.keys)}
    pipeline: list[dict[str, Any]] = [
        {"$match": shape.options.get("partialFilterExpression", {})},
        {"$group": {"_id": key, "count": {"$sum": 1}, "ids": {"$firstN": {"input": "$_id", "n": 3}}}},
        {"$match": {"count": {"$gt": 1}}},
        {"$limit": EXAMPLES},
    ]
    found = await (await database[collection].aggregate(pipeline, allowDiskUse=True)).to_list()
    if not found:
        return None
    names = [name for name, _ in shape.keys]
    groups = [
        f"{group['count']} with {dict(zip(names, group['_id'].values(), strict=False))}, for example {group['ids']}"
        for group in found
    ]
    return f"{collection} has documents with equal keys: {'; '.join(groups)}"


def _value(path: str) -> object:
    """Return the expression for a field; `participants.0` is an element of an array."""
    name, _, place = path.rpartition(".")
    if not place.isdigit():
        return {"$ifNull": [f"${path}", None]}
    # Documents older than the validator may contain anything there.
    element = {"$cond": [{"$isArray": f"${name}"}, {"$arrayElemAt": [f"${name}", int(place)]}, None]}
    return {"$ifNull": [element, None]}
