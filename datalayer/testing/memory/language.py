"""The part of MongoDB's query language that mongomock evaluates correctly; everything else is rejected.

mongomock silently differs from MongoDB in many ways: it treats `True` as 1, nothing as an array, and a missing field as
an error. It evaluates everything listed here correctly, if values have the kinds that their fields have.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias, cast

import bson
from bson import Int64, ObjectId
from pymongo.errors import DocumentTooLarge

from datalayer.engine.document import Document
from datalayer.errors import NotSupportedInMemory
from datalayer.schema.validators import validator

Wire: TypeAlias = dict[str, Any]
"""A document, a filter or an update, in the driver's form."""

Kinds: TypeAlias = Mapping[str, str]
"""The paths of a collection's documents, each with the kind of its values."""

WITHOUT_EFFECT = {"batch_size", "batchSize", "comment", "ordered", "session"}
"""Options without effect on a result. `ordered` has one when a write of many violates a rule; that is rejected."""

FILTERS: Mapping[str, str] = {
    "$eq": "value or null",
    "$ne": "value or null",
    "$in": "values or null",
    "$gt": "value",
    "$gte": "value",
    "$lt": "value",
    "$lte": "value",
    "$exists": "bool",
    "$not": "operators",
}
"""The operators for scalar fields, with the kind of their operands; also `$and` and `$or` of such filters."""

OF_ARRAYS = {"$eq", "$ne", "$in"}
"""The operators that match an item of an array."""

UPDATES: Mapping[str, str] = {
    "$set": "anything",
    "$setOnInsert": "anything",
    "$unset": "anything",
    "$max": "value",
    "$inc": "number",
}
"""The update operators, for whole fields."""

ACCUMULATORS: Mapping[str, str] = {"$sum": "number", "$push": "scalar"}
"""The accumulators of `$group`, with the kind of their fields."""

_KINDS: Mapping[type, str] = {str: "string", bool: "bool", int: "number", Int64: "number", ObjectId: "objectId"}
_SCALARS = {*_KINDS.values()}
_ARRAY = "array of "

_MAX_BYTES = 16 * 1024 * 1024


def unsupported(what: str) -> NotSupportedInMemory:
    """Return the error for an unsupported operation, with a hint."""
    return NotSupportedInMemory(
        f"The in-memory database does not support {what}.",
        hint="Use the embedded server: open_database(..., memory=False), or pytest without --datalayer-memory.",
    )


def sent(value: Any) -> Any:  # noqa: ANN401
    """Return a copy of a value as the server would receive it.

    Raises:
        BSONError, OverflowError: The value cannot be encoded.
        DocumentTooLarge: The value is larger than a document may be.
    """
    encoded = bson.encode({"": value})
    if len(encoded) > _MAX_BYTES:
        raise DocumentTooLarge(f"BSON document too large ({len(encoded)} bytes)")
    decoded: Wire = bson.decode(encoded)  # pyright: ignore[reportUnknownMemberType]
    return decoded[""]


def kinds_of(document: type[Document]) -> Kinds:
    """Return the kinds of a collection's fields, according to its validator."""
    schema: Any = validator(document)["$jsonSchema"]
    return dict(_kinds_in(schema["properties"]))


def value_at(value: Any, path: str) -> Any:  # noqa: ANN401
    """Return the value at a path, which may end in the number of an array item.

    A path through an array gives a list with the value of each item.
    """
    for name in path.split("."):
        if value is None:
            return None
        if isinstance(value, list):
            items = cast("list[Any]", value)
            value = items[int(name)] if name.isdigit() else [value_at(item, name) for item in items]
        else:
            value = value.get(name)
    return value


def check_options(options: Mapping[str, object]) -> None:
    """Reject options that would change the result."""
    for name, value in options.items():
        if name not in WITHOUT_EFFECT and value is not None:
            raise unsupported(f"the option {name}")


def check_filter(filter: Mapping[str, Any], kinds: Kinds) -> None:
    """Reject a filter that mongomock may evaluate differently."""
    for name, condition in filter.items():
        if name in ("$and", "$or") and condition:
            for part in condition:
                check_filter(part, kinds)
        elif name.startswith("$"):
            raise unsupported(f"{name} in a filter")
        else:
            operators = cast("Wire", condition) if is_operators(condition) else {"$eq": condition}
            _check_operators(name, operators, _kind_at(kinds, name))


def check_update(update: Any, kinds: Kinds, upserted: Mapping[str, Any] | None = None) -> None:  # noqa: ANN401
    """Reject an update that mongomock may apply differently; `upserted` is the filter of an upsert."""
    if any("." in name or name.startswith("$") or is_operators(value) for name, value in (upserted or {}).items()):
        raise unsupported("an upsert by more than equal fields")
    if not isinstance(update, dict):
        raise unsupported("an update by a pipeline")
    changed: set[str] = set()
    for operator, fields in cast("dict[str, Wire]", update).items():
        for name, operand in fields.items():
            kind = _kind_at(kinds, name)
            wanted = {"anything": None, "value": kind, "number": "number"}.get(UPDATES.get(operator, ""), "")
            if wanted == "" or (wanted is not None and {wanted, kind} != {_kind_of(operand)}):
                raise unsupported(f"{operator} of {name} by {operand!r}")
            if kind == "number" and isinstance(operand, float):
                raise unsupported(f"{operator} of {name} by {operand!r}, which may equal the number that is there")
            if "." in name or name in changed:
                raise unsupported(f"a change of {name} besides that of another part of it, or of it alone")
            changed.add(name)


def check_projection(projection: Mapping[str, Any] | None, kinds: Kinds, *, needs_id: bool = False) -> None:
    """Reject a projection of anything but names."""
    if "_id" not in _project(projection or {"_id": 1}, kinds) and (needs_id or projection == {"_id": 0}):
        raise unsupported("a projection without the _id")


def check_order(order: Mapping[str, Any], kinds: Kinds) -> None:
    """Reject an order by anything but scalars."""
    _sort(order, kinds)


def checked_pipeline(pipeline: Sequence[Wire], kinds: Kinds) -> list[Wire]:
    """Rewrite the stages so that mongomock evaluates them correctly, or reject them."""
    stages = [plain for stage in pipeline for plain in _in_plain_words(stage)]
    for stage in stages:
        ((name, operand),) = stage.items()
        if name not in STAGES:
            raise unsupported(f"the stage {name}")
        kinds = STAGES[name](operand, kinds)
    return stages


def without_lookups(pipeline: Sequence[Wire]) -> tuple[list[Wire], list[Wire]]:
    """Split off the lookups with a pipeline at the end, which mongomock does not support."""
    head, lookups = list(pipeline), list[Wire]()
    while head and _LOOKUP >= head[-1].get("$lookup", {}).keys() >= {"pipeline"}:
        lookups.insert(0, head.pop()["$lookup"])
    return head, lookups


def is_operators(condition: object) -> bool:
    """Return whether a filter's value consists of operators."""
    return isinstance(condition, dict) and any(name.startswith("$") for name in cast("Wire", condition))


def _kinds_in(properties: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, schema in properties.items():
        yield prefix + name, _kind_in(schema)
        yield from _kinds_in(schema.get("properties", {}), f"{prefix}{name}.")


def _kind_in(schema: Mapping[str, Any]) -> str:
    kind = schema.get("bsonType", "anything")
    if isinstance(kind, list):
        return "number"
    return _ARRAY + _kind_in(schema["items"]) if kind == "array" else kind


def _kind_at(kinds: Kinds, path: str) -> str:
    """Return the kind of the value at a path, which may end in the number of an array item."""
    name, _, number = path.rpartition(".")
    if number.isdigit() and name in kinds:
        return kinds[name].removeprefix(_ARRAY)
    if path not in kinds:
        raise unsupported(f"the field {path}, which the documents do not have")
    return kinds[path]


def _scalar_at(kinds: Kinds, path: str, use: str) -> str:
    kind = _kind_at(kinds, path)
    if kind not in _SCALARS:
        raise unsupported(f"{use} by {path}, which is not a scalar")
    return kind


def _kind_of(value: object) -> str:
    return _KINDS.get(type(value), "")


def _check_operators(path: str, operators: Mapping[str, Any], kind: str) -> None:
    for operator, operand in operators.items():
        wanted = kind.removeprefix(_ARRAY) if operator in OF_ARRAYS else kind
        expected = FILTERS.get(operator)
        operands: object = operand if expected == "values or null" else [operand]
        if expected == "operators" and is_operators(operand):
            _check_operators(path, operand, kind)
        elif expected == "bool" and isinstance(operand, bool):
            pass
        elif expected in (None, "operators", "bool") or not isinstance(operands, list):
            raise unsupported(f"{operator} of {path} with {operand!r}")
        else:
            found = {
                _kind_of(value) for value in cast("list[object]", operands) if value is not None or expected == "value"
            }
            if not found <= {wanted} & _SCALARS:
                raise unsupported(f"{operator} of {path} with {operand!r}")


def _in_plain_words(stage: Wire) -> list[Wire]:
    """Replace a stage that mongomock evaluates differently without documents by MongoDB's definition of it."""
    if "$count" in stage:
        counted = {"$group": {"_id": None, stage["$count"]: {"$sum": 1}}}
        return [*_in_plain_words(counted), {"$project": {"_id": 0}}]
    if "$group" in stage and stage["$group"].get("_id") is None:
        return [{"$group": {**stage["$group"], "_id": {"$literal": None}}}]
    return [stage]


def _match(operand: Wire, kinds: Kinds) -> Kinds:
    check_filter(operand, kinds)
    return kinds


def _sort(operand: Mapping[str, Any], kinds: Kinds) -> Kinds:
    for name, direction in operand.items():
        _scalar_at(kinds, name, "an order")
        if direction not in (1, -1):
            raise unsupported(f"an order by {name}: {direction}")
    return kinds


def _limit(operand: Any, kinds: Kinds) -> Kinds:  # noqa: ANN401
    if not isinstance(operand, int) or operand < 1:
        raise unsupported(f"$limit: {operand!r}")
    return kinds


def _project(operand: Mapping[str, Any], kinds: Kinds) -> Kinds:
    for name, value in operand.items():
        _kind_at(kinds, name)
        if "." in name or value not in ((0, 1) if name == "_id" else (1,)):
            raise unsupported(f"a projection of {name} by {value!r}")
    if {*operand.items()} == {("_id", 0)}:
        return {name: kind for name, kind in kinds.items() if name != "_id"}
    kept = {"_id": 1, **operand}
    return {name: kind for name, kind in kinds.items() if kept.get(name.partition(".")[0])}


def _group(operand: Wire, kinds: Kinds) -> Kinds:
    found: dict[str, str] = {}
    for name, value in operand.items():
        if name == "_id":
            key = value != {"$literal": None}
            found[name] = _kind_of_field(value, kinds, "a group") if key else "null"
            continue
        ((operator, operand_of),) = value.items()
        kind = "number" if operand_of == 1 else _kind_of_field(operand_of, kinds, operator)
        if operator not in ACCUMULATORS or ACCUMULATORS[operator] not in (kind, "scalar"):
            raise unsupported(f"the accumulator {operator} of {operand_of!r}")
        found[name] = _ARRAY + kind if operator == "$push" else kind
    return found


def _kind_of_field(expression: object, kinds: Kinds, use: str) -> str:
    if not isinstance(expression, str) or not expression.startswith("$") or expression.startswith("$$"):
        raise unsupported(f"{use} of the expression {expression!r}")
    if expression[-1].isdigit():
        raise unsupported(f"{use} of {expression}, which does not refer to an array item in an expression")
    return _scalar_at(kinds, expression[1:], use)


_LOOKUP = {"from", "localField", "foreignField", "pipeline", "as"}

STAGES: Mapping[str, Callable[[Any, Kinds], Kinds]] = {
    "$match": _match,
    "$sort": _sort,
    "$limit": _limit,
    "$project": _project,
    "$group": _group,
}
"""The stages of pipelines. Each checks its operand, and returns the kinds of its output documents."""
