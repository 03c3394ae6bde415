"""Generates the validator of a collection from the fields and the `check` of its document class.

The `$jsonSchema` rejects what the class rejects: unknown and missing fields, nulls, wrong types, unknown literals and
strings that are too long. Rules that it cannot express become additional conditions. So the rules hold for every
writer, and documents need no validation when they are read.
"""

from collections.abc import Iterator
from types import UnionType
from typing import Any, Literal, NewType, TypeAlias, Union, cast, get_args, get_origin

from annotated_types import MaxLen, MinLen
from bson import ObjectId
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from datalayer.engine.document import Document
from datalayer.engine.fields import Integer, Json, Text, unwrap
from datalayer.schema.json_values import is_json

JsonSchema: TypeAlias = dict[str, object]


def validator(document: type[Document]) -> JsonSchema:
    """Return the validator of the document's collection."""
    conditions: list[object] = [{"$expr": is_json(path)} for path in _json_paths(document)]
    if document.Settings.check is not None:
        conditions.append(document.Settings.check)
    return {"$jsonSchema": _object(document), **({"$and": conditions} if conditions else {})}


def _json_paths(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Return the paths of the fields of type `Json` or list of `Json`, including those in embedded objects."""
    for name, field in model.model_fields.items():
        path, kind = f"{prefix}{field.alias or name}", unwrap(field.annotation)[0]
        if kind is Json or (get_origin(kind) is list and unwrap(get_args(kind)[0])[0] is Json):
            yield path
        elif isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from _json_paths(kind, f"{path}.")


def _object(model: type[BaseModel]) -> JsonSchema:
    fields = {field.alias or name: field for name, field in model.model_fields.items()}
    required = [name for name, field in fields.items() if not unwrap(field.annotation)[1]]
    return {
        "bsonType": "object",
        # MongoDB rejects an empty list.
        **({"required": required} if required else {}),
        "properties": {name: _schema(field.annotation, tuple(field.metadata)) for name, field in fields.items()},
        "additionalProperties": False,
    }


def _schema(annotation: Any, limits: tuple[object, ...] = ()) -> JsonSchema:  # noqa: ANN401, PLR0911
    if hasattr(annotation, "__metadata__"):
        return _schema(get_args(annotation)[0], (*limits, *annotation.__metadata__))
    if annotation is Json:
        return {}
    origin = get_origin(annotation)
    if origin in (Union, UnionType):
        return _union(annotation, limits)
    if origin is Literal:
        return {"bsonType": "string", "enum": list(get_args(annotation))}
    if origin is list:
        return {"bsonType": "array", **_array_limits(limits), "items": _schema(get_args(annotation)[0])}
    if isinstance(annotation, NewType):
        return _schema(annotation.__supertype__, limits)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return _object(annotation)
    return _scalar(cast("type", annotation), limits)


def _union(annotation: object, limits: tuple[object, ...]) -> JsonSchema:
    arms = [_schema(arm, limits) for arm in get_args(annotation) if arm is not type(None)]
    if any(arm != arms[0] for arm in arms):
        message = f"no validator for {annotation}: its arms look different in MongoDB"
        raise TypeError(message)
    return arms[0]


def _scalar(kind: type, limits: tuple[object, ...]) -> JsonSchema:
    if kind is ObjectId:
        return {"bsonType": "objectId"}
    if kind is bool:
        return {"bsonType": "bool"}
    if kind is int:
        bounds = next(limit for limit in limits if isinstance(limit, Integer))
        # Drivers of languages with a single number type write integral doubles. `multipleOf` rejects fractions and NaN.
        numbers = {"bsonType": ["int", "long", "double"], "multipleOf": 1}
        return {**numbers, "minimum": bounds.minimum, "maximum": bounds.maximum}
    if kind is str:
        length = next(limit for limit in limits if isinstance(limit, Text))
        shortest: JsonSchema = {"minLength": length.shortest} if length.shortest else {}
        return {"bsonType": "string", **shortest, "maxLength": length.longest}
    message = f"no validator for {kind}"
    raise TypeError(message)


def _array_limits(limits: tuple[object, ...]) -> JsonSchema:
    found: JsonSchema = {}
    # Inside a union, pydantic leaves the limits of a field in their original `FieldInfo`.
    nested = [inner for limit in limits if isinstance(limit, FieldInfo) for inner in limit.metadata]
    for limit in [*limits, *nested]:
        if isinstance(limit, MinLen):
            found["minItems"] = limit.min_length
        elif isinstance(limit, MaxLen):
            found["maxItems"] = limit.max_length
    return found
