"""Cursors that were cut, changed, taken from another list, or forged."""

import random
from collections.abc import Mapping
from typing import Any

import bson
import pytest
from bson import Code, Decimal128, Int64, MaxKey, MinKey, ObjectId, Regex
from hypothesis import given, settings
from hypothesis import strategies as st

from datalayer import Page
from datalayer.engine import pages
from datalayer.engine.pages import Number, decode_cursor, encode_cursor
from datalayer.errors import InvalidCursorError
from tests.hostile.arguments import ALL_METHODS, Named
from tests.hostile.place import Place
from tests.hostile.values import MARK

LISTS = [name for name, method in ALL_METHODS.items() if "after" in method.types]

Cursors = Mapping[str, tuple[Named, str]]

_positions = st.one_of(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats() | st.text().map(f"${MARK}".__add__),
    st.builds(ObjectId) | st.binary(max_size=20),
    st.sampled_from([Int64(1), Decimal128("1"), MinKey(), MaxKey(), Regex("."), Code("1"), Code("1", {"a": 1})]),
    st.sampled_from([{"$gt": 0}, [{"$ne": 1}], {"$oid": "0" * 24}, {"$ref": 1, "$id": 2}, [ObjectId()]]),
)

payloads = st.one_of(
    st.lists(_positions, max_size=5).map(lambda position: bson.encode({"p": position})),
    _positions.map(lambda position: bson.encode({"p": position})),
    st.dictionaries(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=3), _positions).map(
        bson.encode
    ),
    st.binary(max_size=100),
)


@pytest.fixture(scope="session")
async def cursors(place: Place) -> Cursors:
    """Of every list, arguments with a second page, and the cursor that leads there."""
    found = await place.cursors()
    # The world has no two completed courses of one user, for example; the lists that are missing share their queries.
    assert len(found) >= len(LISTS) - 4, set(LISTS) - set(found)
    return found


async def refused(place: Place, name: str, arguments: Named, cursor: str) -> None:
    """The cursor is refused before anything is sent."""
    outcome = await place.call(ALL_METHODS[name], arguments | {"after": cursor})
    assert isinstance(outcome.error, InvalidCursorError), (name, outcome)
    assert (outcome.error.field, outcome.commands) == ("after", [])


@pytest.mark.parametrize("name", LISTS)
async def test_a_cursor_is_looked_at_although_there_is_nothing(place: Place, name: str) -> None:
    """Also where what the list belongs to does not exist."""
    right = place.arguments.right(ALL_METHODS[name], random.Random(1))  # noqa: S311 - repeatable
    nobody = {key: ObjectId() if isinstance(value, ObjectId) else value for key, value in right.items()}
    for cursor in ("rubbish", MARK, "", "$where", encode_cursor(("posts", "recent", None), [1, ObjectId()]) + "A"):
        await refused(place, name, nobody, cursor)


async def test_a_cursor_leads_on_in_its_own_list_alone(place: Place, cursors: Cursors) -> None:
    """Each one in each list: it is the same list, or refused."""
    for name, (arguments, cursor) in cursors.items():
        outcome = await place.call(ALL_METHODS[name], arguments | {"after": cursor})
        assert isinstance(outcome.result, Page), name
        for other, (_, foreign) in cursors.items():
            if foreign != cursor and {name, other} != {"courses.by_status", "courses.published"}:
                await refused(place, name, arguments, foreign)


@given(data=st.data())
async def test_a_damaged_cursor_is_refused(place: Place, cursors: Cursors, data: Any) -> None:
    """Cut anywhere, or with any one character changed, or with something in front or behind."""
    name = data.draw(st.sampled_from(list(cursors)))
    arguments, cursor = cursors[name]
    at = data.draw(st.integers(0, len(cursor) - 1))
    changed = (
        cursor[:at] + data.draw(st.characters(codec="utf-8", exclude_characters="\0" + cursor[at])) + cursor[at + 1 :]
    )
    for damaged in (
        cursor[:at],
        cursor[at + 1 :],
        changed,
        cursor + cursor,
        f" {cursor}",
        f"{cursor}\n",
        f"{cursor}=",
        cursor.swapcase(),
    ):
        await refused(place, name, arguments, damaged)


@given(data=st.data(), payload=payloads)
async def test_a_forged_cursor_holds_values_of_the_right_kinds(
    place: Place, cursors: Cursors, data: Any, payload: bytes
) -> None:
    """The check is no secret. What passes it is refused, or stands for a place in the list."""
    name = data.draw(st.sampled_from(list(cursors)))
    arguments, _ = cursors[name]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pages, "_check", lambda *_: bytes(pages._CHECK_BYTES))
        forged = pages._text(bytes(pages._CHECK_BYTES) + payload)
        outcome = await place.call(ALL_METHODS[name], arguments | {"after": forged})
    assert outcome.misplaced == []
    if outcome.error is not None:
        assert isinstance(outcome.error, InvalidCursorError)
        assert outcome.commands == []
    else:
        values = bson.decode(payload)["p"]
        assert isinstance(values[-1], ObjectId)
        kinds = str if name == "reports.queue" else int | float | None
        assert all(isinstance(value, Number | None | kinds) and not isinstance(value, bool) for value in values[:-1])


@settings(max_examples=settings().max_examples * 2)
@given(text=st.text() | st.text("ABCxyz019-_=").map(lambda text: text * 3), payload=payloads, secret=st.text())
def test_decoding_anything_gives_a_position_or_an_error(text: str, payload: bytes, secret: str) -> None:
    kinds = [Number, str, ObjectId]
    for cursor in (text, pages._text(pages._check(secret, payload) + payload)):
        try:
            values = decode_cursor(secret, cursor, kinds)
        except InvalidCursorError:
            continue
        assert [isinstance(value, kind) for value, kind in zip(values, kinds, strict=True)] == [True] * 3
        assert encode_cursor(secret, values) == cursor
