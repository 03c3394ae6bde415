"""How ids validate: strictly as `bson.ObjectId` in documents and repositories, also from their text elsewhere."""

from collections.abc import Iterable
from typing import Annotated, NewType, TypeAlias

from bson import ObjectId
from pydantic import GetPydanticSchema
from pydantic_core import CoreSchema, core_schema


def _core_schema(*_: object) -> CoreSchema:
    digits = core_schema.no_info_after_validator_function(ObjectId, core_schema.str_schema(pattern="^[0-9a-f]{24}$"))
    # An is-instance schema runs inside pydantic's core: no Python call for each id of each document.
    instance = core_schema.is_instance_schema(ObjectId)
    either = core_schema.union_schema(
        [instance, digits],
        mode="left_to_right",
        custom_error_type="id",
        custom_error_message="must be an id: 24 hexadecimal digits",
    )
    return core_schema.json_or_python_schema(
        json_schema=digits,
        python_schema=core_schema.lax_or_strict_schema(either, instance),
        serialization=core_schema.to_string_ser_schema(when_used="json"),
    )


AnyId: TypeAlias = Annotated[ObjectId, GetPydanticSchema(_core_schema)]
"""The id of a document of any table."""


def register_id_types(types: Iterable[object]) -> None:
    """Let pydantic validate id types, which are `NewType`s of `ObjectId`; everything else is skipped.

    At run time a `NewType` is an object, and pydantic asks any type for this hook before it looks at the supertype.
    """
    for type_ in types:
        if isinstance(type_, NewType):
            setattr(type_, "__get_pydantic_core_schema__", _core_schema)  # noqa: B010 - it has no such attribute
