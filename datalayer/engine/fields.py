"""The types of document fields, with limits that both Python and the database enforce."""

from collections.abc import Collection
from dataclasses import dataclass
from types import UnionType
from typing import TYPE_CHECKING, Annotated, NewType, TypeAlias, Union, cast, get_args, get_origin

from bson import ObjectId
from pydantic import Discriminator, GetCoreSchemaHandler, Tag
from pydantic_core import CoreSchema, PydanticCustomError, core_schema
from typing_extensions import TypeAliasType

from datalayer.engine.ids import AnyId

MAX_INTEGER = 2**53 - 1
"""The largest integer that JavaScript represents exactly."""


@dataclass(frozen=True, slots=True)
class Integer:
    """An integer within bounds, but not a `bool`. In MongoDB it may be an integral double from another driver."""

    minimum: int = 0
    maximum: int = MAX_INTEGER

    def __get_pydantic_core_schema__(self, _source: object, _handler: GetCoreSchemaHandler) -> CoreSchema:
        """Return a union that pydantic's core evaluates: an ordinary `int` needs no Python call."""
        integer = core_schema.int_schema(strict=True, ge=self.minimum, le=self.maximum)
        double = _only_floats(
            core_schema.float_schema(strict=True, multiple_of=1, ge=self.minimum, le=self.maximum, allow_inf_nan=False)
        )
        return core_schema.union_schema(
            [integer, core_schema.chain_schema([double, core_schema.int_schema(strict=False)])],
            mode="left_to_right",
            custom_error_type="integer",
            custom_error_message=f"must be a whole number from {self.minimum} to {self.maximum}",
        )


@dataclass(frozen=True, slots=True)
class Text:
    """A string of `shortest` to `longest` Unicode characters, without NUL. Not blank if `shortest` is above 0."""

    shortest: int
    longest: int

    def __get_pydantic_core_schema__(self, _source: object, _handler: GetCoreSchemaHandler) -> CoreSchema:
        """Return a string schema. Its pattern also rejects lone surrogates, which UTF-8 and BSON cannot represent."""
        pattern = r"^[^\x00]*[^\s\x00][^\x00]*$" if self.shortest else r"^[^\x00]*$"
        return core_schema.str_schema(
            strict=True, min_length=self.shortest, max_length=self.longest, pattern=f"(?s){pattern}"
        )


Timestamp: TypeAlias = Annotated[int, Integer()]
"""Unix milliseconds."""

Count: TypeAlias = Annotated[int, Integer()]
Positive: TypeAlias = Annotated[int, Integer(minimum=1)]

StorageId = NewType("StorageId", str)
"""The id of a file in the application's own storage, outside of this database."""

File: TypeAlias = Annotated[StorageId, Text(1, 500)]
Name: TypeAlias = Annotated[str, Text(1, 100)]
"""The name of a person, tier, action or type."""

Title: TypeAlias = Annotated[str, Text(1, 200)]
ShortText: TypeAlias = Annotated[str, Text(0, 2_000)]
"""A short text: a description, a reason, an error message."""

MessageText: TypeAlias = Annotated[str, Text(1, 10_000)]
"""The text of a comment or message."""

Body: TypeAlias = Annotated[str, Text(1, 100_000)]
"""The text of a post, lesson or scene."""

Html: TypeAlias = Annotated[str, Text(1, 400_000)]
ExternalId: TypeAlias = Annotated[str, Text(1, 255)]
"""An identifier assigned by another service, such as Stripe or the auth service."""

ReferenceKey: TypeAlias = Annotated[str, Text(1, 200)]


MAX_DEPTH = 100
"""The maximum nesting depth of lists and dicts in a `Json` value; MongoDB itself stores 180 levels."""

MAX_VALUES = 10_000
"""The maximum number of values in a `Json` value, nested values included."""

MAX_STRING = 100_000
"""The maximum length of a string inside a `Json` value, in characters."""

MAX_KEY = 200
"""The maximum length of a key inside a `Json` value, in characters."""


@dataclass(frozen=True, slots=True)
class _FieldName:
    """A key that MongoDB always takes literally: no leading dollar sign, no dot, no NUL."""

    def __get_pydantic_core_schema__(self, _source: object, _handler: GetCoreSchemaHandler) -> CoreSchema:
        name = core_schema.str_schema(strict=True, min_length=1, max_length=MAX_KEY, pattern=r"^[^$.\x00][^.\x00]*$")
        message = f"must have keys of 1 to {MAX_KEY} characters, without dots, NUL, or a leading dollar sign"
        return core_schema.custom_error_schema(name, "field_name", custom_error_message=message)


@dataclass(frozen=True, slots=True)
class _Double:
    """A finite `float`."""

    def __get_pydantic_core_schema__(self, _source: object, _handler: GetCoreSchemaHandler) -> CoreSchema:
        return _only_floats(core_schema.float_schema(strict=True, allow_inf_nan=False))


def _only_floats(schema: CoreSchema) -> CoreSchema:
    """Reject values that pydantic would convert to `float`: a large `int`, or an object with `__float__`."""
    python = core_schema.chain_schema([core_schema.is_instance_schema(float), schema])
    return core_schema.json_or_python_schema(json_schema=schema, python_schema=python)


@dataclass(frozen=True, slots=True)
class _Bounded:
    """Rejects values that are nested too deeply or too large, before any other validation."""

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(_bounded, handler(source))


def _bounded(value: object) -> object:
    """Return the value if it is within the limits. Depth first, so a value that contains itself is found too deep."""
    ahead, values = [(value, 0)], 0
    while ahead:
        outer, depth = ahead.pop()
        inner = _inside(outer)
        values += len(inner)
        if inner and depth == MAX_DEPTH:
            message = "must not be nested more than {limit} levels deep, or contain itself"
            raise PydanticCustomError("too_deep", message, {"limit": MAX_DEPTH})
        if values > MAX_VALUES:
            raise PydanticCustomError("too_many", "must not hold more than {limit} values", {"limit": MAX_VALUES})
        ahead += [(value, depth + 1) for value in inner]
    return value


def _inside(value: object) -> Collection[object]:
    if isinstance(value, dict):
        return cast("dict[object, object]", value).values()
    return cast("list[object]", value) if isinstance(value, list) else ()


def _arm(value: object) -> str | None:
    """Return which member of the `Json` union fits a value, so that an error concerns that one and names the place."""
    return next((arm for arm, kind in _ARMS.items() if isinstance(value, kind)), None)


_ARMS = {
    "bool": bool,  # before `int`: a bool is also an int
    "int": int,
    "float": float,
    "str": str,
    "ObjectId": ObjectId,
    "List": list,
    "Dict": dict,
    "none": type(None),
}

_JSON_MESSAGE = "must be a string, a number, a boolean, null, an ObjectId, or a list or dict of them"

if TYPE_CHECKING:
    # For type checkers: pyright loses the annotated alias below if another module imports it first.
    Json: TypeAlias = bool | int | float | str | ObjectId | list["Json"] | dict[str, "Json"] | None
else:
    _Json = TypeAliasType(
        "_Json",
        Annotated[
            Annotated[bool, Tag("bool")]
            | Annotated[int, Integer(minimum=-MAX_INTEGER), Tag("int")]
            | Annotated[float, _Double(), Tag("float")]
            | Annotated[str, Text(0, MAX_STRING), Tag("str")]
            | Annotated[AnyId, Tag("ObjectId")]
            | Annotated[list["_Json"], Tag("List")]
            | Annotated[dict[Annotated[str, _FieldName()], "_Json"], Tag("Dict")]
            | Annotated[None, Tag("none")],
            Discriminator(
                _arm,
                custom_error_type="json",
                custom_error_message=_JSON_MESSAGE,
            ),
        ],
    )
    Json = TypeAliasType("Json", Annotated[_Json, _Bounded()])
"""The original schema's `any`: JSON, plus `ObjectId`s; at most 100 levels deep and 10,000 values."""


def unwrap(annotation: object) -> tuple[object, bool]:
    """Return a field's type without `Annotated` and `| None`, and whether it was optional."""
    if hasattr(annotation, "__metadata__"):
        annotation = get_args(annotation)[0]
    if get_origin(annotation) not in (Union, UnionType):
        return annotation, False
    arms = [arm for arm in get_args(annotation) if arm is not type(None)]
    optional = len(arms) < len(get_args(annotation))
    return (unwrap(arms[0])[0] if len(arms) == 1 else annotation), optional
