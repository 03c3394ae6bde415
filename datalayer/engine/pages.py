"""Pages of a list, by position.

A cursor is a position in an index, not a number of documents: the index's keys of the last document of a page. So a
page costs the same at any depth, and nothing appears twice or goes missing when documents come and go between two.
"""

import base64
import binascii
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from types import UnionType
from typing import Any, Generic, TypeAlias, TypeVar, cast

import bson
from bson import ObjectId
from bson.errors import BSONError

from datalayer.engine.errors import InvalidCursorError

T = TypeVar("T")

PositionValue: TypeAlias = int | float | str | ObjectId | None

Number: TypeAlias = int | float
"""How a number comes back from MongoDB: other drivers write integral doubles."""

_CHECK_BYTES = 8


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some items of a list, and where the next ones begin.

    Attributes:
        items: At most as many as were asked for.
        next: What to give as `after` for the page that follows; `None` exactly on the last page.
    """

    items: list[T]
    next: str | None = None


def encode_cursor(query: object, position: Sequence[PositionValue]) -> str:
    """The opaque form of a position in a query's list.

    Args:
        query: What the query is: anything whose `repr` tells it from other queries, and is the same for its next page.
        position: The values by which the list is ordered, of the last item that was given out.
    """
    payload = bson.encode({"p": list(position)})
    return _text(_check(query, payload) + payload)


def decode_cursor(query: object, cursor: str, kinds: Sequence[type | UnionType]) -> list[Any]:
    """The position that a cursor of this query holds: a value of each of the kinds.

    Raises:
        InvalidCursorError: It is damaged, or of another query.
    """
    try:
        raw = base64.b64decode(cursor.encode() + b"=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        payload = raw[_CHECK_BYTES:]
        # Base64 ignores the last bits: one position has one cursor.
        if _text(raw) != cursor or _check(query, payload) != raw[:_CHECK_BYTES]:
            raise InvalidCursorError
        position = cast("dict[str, object]", bson.decode(payload))["p"]  # pyright: ignore[reportUnknownMemberType]
    except (binascii.Error, UnicodeEncodeError, BSONError, KeyError) as error:
        raise InvalidCursorError from error
    # The check is no secret. Whoever forges one still gets nothing but values of these kinds into a filter.
    if not isinstance(position, list):
        raise InvalidCursorError
    values = cast("list[object]", position)
    if len(values) != len(kinds) or not all(map(_is, values, kinds)):
        raise InvalidCursorError
    return values


def _is(value: object, kind: type | UnionType) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool)


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _check(query: object, payload: bytes) -> bytes:
    return hashlib.blake2b(repr(query).encode() + payload, digest_size=_CHECK_BYTES).digest()
