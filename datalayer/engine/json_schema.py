"""How a class looks in MongoDB: the `$jsonSchema` of its fields.

Types that have none are refused when a document is defined: a field that the database cannot check would not be checked
when it is read either.
"""

from types import UnionType
from typing import Any, Literal, NewType, TypeAlias, Union, cast, get_args, get_origin

from annotated_types import MaxLen, MinLen
from bson import ObjectId
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from datalayer.engine.errors import InvalidDefinitionError
from datalayer.engine.fields import Integer, Json, Text, unwrap

JsonSchema: TypeAlias = dict[str, object]


def object_schema(model: type[BaseModel]) -> JsonSchema:
    """The `$jsonSchema` of a document, or of an object inside one.

    Raises:
        InvalidDefinitionError: A field has a type without a validator; the message names the field.
    """
    required = [_name(field, name) for name, field in model.model_fields.items() if not unwrap(field.annotation)[1]]
    return {
        "bsonType": "object",
        # MongoDB refuses an empty list.
        **({"required": required} if required else {}),
        "properties": {_name(field, name): _field(model, name, field) for name, field in model.model_fields.items()},
        "additionalProperties": False,
    }


class _NoValidatorError(Exception):
    """Says why a type has no validator, or what it needs."""


def _name(field: FieldInfo, name: str) -> str:
    return field.alias or name


def _field(model: type[BaseModel], name: str, field: FieldInfo) -> JsonSchema:
    try:
        return _schema(field.annotation, tuple(field.metadata))
    except _NoValidatorError as error:
        raise InvalidDefinitionError(f"{model.__name__}: the field `{name}` {error}.") from None


def _schema(annotation: Any, limits: tuple[object, ...] = ()) -> JsonSchema:  # noqa: ANN401, PLR0911
    if hasattr(annotation, "__metadata__"):
        return _schema(get_args(annotation)[0], (*limits, *annotation.__metadata__))
    if annotation is Json:
        return {}
    origin = get_origin(annotation)
    if origin in (Union, UnionType):
        return _union(annotation, limits)
    if origin is Literal:
        return _literals(get_args(annotation))
    if origin is list:
        return {"bsonType": "array", **_array_limits(limits), "items": _schema(get_args(annotation)[0])}
    if isinstance(annotation, NewType):
        return _schema(annotation.__supertype__, limits)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return object_schema(annotation)
    return _scalar(cast("object", annotation), limits)


def _literals(values: tuple[object, ...]) -> JsonSchema:
    if not all(isinstance(value, str) for value in values):
        raise _NoValidatorError("has no validator: only strings can be literals")
    return {"bsonType": "string", "enum": list(values)}


def _union(annotation: object, limits: tuple[object, ...]) -> JsonSchema:
    arms = [_schema(arm, limits) for arm in get_args(annotation) if arm is not type(None)]
    if any(arm != arms[0] for arm in arms):
        raise _NoValidatorError(f"has no validator: the arms of {annotation} look different in MongoDB")
    return arms[0]


def _scalar(kind: object, limits: tuple[object, ...]) -> JsonSchema:
    if kind is ObjectId:
        return {"bsonType": "objectId"}
    if kind is bool:
        return {"bsonType": "bool"}
    if kind is int:
        bounds = next((limit for limit in limits if isinstance(limit, Integer)), None)
        if bounds is None:
            raise _NoValidatorError("needs `Integer(minimum, maximum)`: `Annotated[int, Integer(0, 100)]`")
        # Drivers of languages with one type of number write integral doubles; `multipleOf` refuses fractions and NaN.
        numbers = {"bsonType": ["int", "long", "double"], "multipleOf": 1}
        return {**numbers, "minimum": bounds.minimum, "maximum": bounds.maximum}
    if kind is str:
        length = next((limit for limit in limits if isinstance(limit, Text)), None)
        if length is None:
            raise _NoValidatorError("needs `Text(shortest, longest)`: `Annotated[str, Text(1, 200)]`")
        shortest: JsonSchema = {"minLength": length.shortest} if length.shortest else {}
        return {"bsonType": "string", **shortest, "maxLength": length.longest}
    name = kind.__name__ if isinstance(kind, type) else str(kind)
    raise _NoValidatorError(f"has no validator: {name} is none of the types of `datalayer.engine.fields`")


def _array_limits(limits: tuple[object, ...]) -> JsonSchema:
    found: JsonSchema = {}
    # Inside a union pydantic leaves a field's limits in the `FieldInfo` that they were written in.
    nested = [inner for limit in limits if isinstance(limit, FieldInfo) for inner in limit.metadata]
    for limit in [*limits, *nested]:
        if isinstance(limit, MinLen):
            found["minItems"] = limit.min_length
        elif isinstance(limit, MaxLen):
            found["maxItems"] = limit.max_length
    return found
