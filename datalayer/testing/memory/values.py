"""Values as MongoDB orders and finds them."""

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any, TypeAlias, cast

import bson
from bson import Int64, MaxKey, MinKey, ObjectId
from pymongo.errors import DocumentTooLarge

from datalayer.errors import NotSupportedInMemory

Wire: TypeAlias = dict[str, Any]
"""A document as the driver has it."""

Order: TypeAlias = tuple[int, Any]
"""What Python compares as MongoDB compares the value that it is made of."""


class Missing(Enum):
    """The type of `MISSING`."""

    MISSING = "missing"


MISSING = Missing.MISSING
"""What an expression gives for a field that is not there; below null, which is a value."""

_RANKS: Mapping[type, int] = {
    MinKey: 0,
    Missing: 1,
    type(None): 2,
    int: 3,
    Int64: 3,
    float: 3,
    str: 4,
    dict: 5,
    list: 6,
    ObjectId: 7,
    bool: 8,
    MaxKey: 9,
}
_COMPARED_BY_RANK = {0, 1, 2, 9}

_MAX_BYTES = 16 * 1024 * 1024
_ENVELOPE = len(bson.encode({"": {}})) - len(bson.encode({}))


def unsupported(what: str) -> NotSupportedInMemory:
    """The error that says what cannot be done, and where it can."""
    return NotSupportedInMemory(
        f"The in-memory database does not support {what}.",
        hint="The embedded server does: open_database(..., memory=False), or pytest without --datalayer-memory.",
    )


def sent(value: Any) -> Any:  # noqa: ANN401
    """A copy of a value as the server would get it.

    Raises:
        BSONError, OverflowError: It cannot be sent.
        DocumentTooLarge: It is larger than a document may be.
    """
    encoded = bson.encode({"": value})
    if len(encoded) - _ENVELOPE > _MAX_BYTES:
        raise DocumentTooLarge(f"BSON document too large ({len(encoded) - _ENVELOPE} bytes)")
    decoded: Mapping[str, Any] = bson.decode(encoded)  # pyright: ignore[reportUnknownMemberType]
    return decoded[""]


def copied(value: Any) -> Any:  # noqa: ANN401
    """A copy that shares nothing that can be changed."""
    if isinstance(value, dict):
        return {name: copied(inner) for name, inner in cast("Wire", value).items()}
    if isinstance(value, list):
        return [copied(item) for item in cast("list[object]", value)]
    return value


def rank_of(value: object) -> int:
    """The place of the value's type among the types."""
    rank = _RANKS.get(type(value))
    if rank is None:
        raise unsupported(f"values of the type {type(value).__name__}")
    return rank


def order_of(value: Any) -> Order:  # noqa: ANN401
    """Makes values comparable, and hashable; those that MongoDB takes for equal are equal."""
    rank = rank_of(value)
    if rank in _COMPARED_BY_RANK:
        return rank, 0
    if isinstance(value, dict):
        fields = cast("Wire", value).items()
        return rank, tuple((rank_of(inner), name, order_of(inner)) for name, inner in fields)
    if isinstance(value, list):
        return rank, tuple(order_of(item) for item in cast("list[object]", value))
    return rank, value


def value_at(value: object, path: Sequence[str]) -> object:
    """What is at a path, as an expression reads it: of an array, what is there in its objects."""
    if not path:
        return value
    if isinstance(value, dict):
        return value_at(cast("Wire", value).get(path[0], MISSING), path[1:])
    if isinstance(value, list):
        found = [value_at(item, path) for item in cast("list[object]", value)]
        return [item for item in found if item is not MISSING]
    return MISSING


def key_at(wire: Wire, path: str) -> object:
    """What an index has for a document: null for what is missing, and one value only."""
    value: Any = wire
    for name in path.split("."):
        if isinstance(value, list) and name.isdigit():
            items = cast("list[object]", value)
            value = items[int(name)] if int(name) < len(items) else None
        elif isinstance(value, dict):
            value = cast("Wire", value).get(name)
        elif isinstance(value, list):
            break
        else:
            value = None
    if isinstance(value, list):
        raise unsupported(f"an order or a unique index by the array {path}")
    return value
