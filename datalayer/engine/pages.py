"""Cursor pagination.

A cursor is a position in an index (the index key of the last document on the page), not an offset. So a page costs the
same at any depth, and no document is repeated or skipped when others are inserted or removed between two pages.
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
"""A number as MongoDB returns it: other drivers write integral doubles."""

_CHECK_BYTES = 8


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page of a list.

    Attributes:
        items: The items, at most as many as requested.
        next: Pass this as `after` to get the next page. `None` on the last page, and only there.
    """

    items: list[T]
    next: str | None = None


def encode_cursor(query: object, position: Sequence[PositionValue]) -> str:
    """Encode a position in the result of a query as an opaque cursor.

    Args:
        query: Identifies the query: anything whose `repr` differs from other queries and is the same for the next page.
        position: The sort key of the last item on the page.
    """
    payload = bson.encode({"p": list(position)})
    return _text(_check(query, payload) + payload)


def decode_cursor(query: object, cursor: str, kinds: Sequence[type | UnionType]) -> list[Any]:
    """Decode the position in a cursor of this query: one value of each kind.

    Raises:
        InvalidCursorError: The cursor is damaged, or belongs to another query.
    """
    try:
        raw = base64.b64decode(cursor.encode() + b"=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        payload = raw[_CHECK_BYTES:]
        # Base64 ignores the last bits. Comparing the text ensures that each position has only one cursor.
        if _text(raw) != cursor or _check(query, payload) != raw[:_CHECK_BYTES]:
            raise InvalidCursorError
        position = cast("dict[str, object]", bson.decode(payload))["p"]  # pyright: ignore[reportUnknownMemberType]
    except (binascii.Error, UnicodeEncodeError, BSONError, KeyError) as error:
        raise InvalidCursorError from error
    # The checksum is not secret. A forged cursor can still only put values of these kinds into a filter.
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
