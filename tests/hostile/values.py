"""What a careless or a malicious caller may give."""

import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from typing import Any
from unittest.mock import MagicMock

from bson import Binary, Code, DBRef, Decimal128, Int64, MaxKey, MinKey, ObjectId, Regex, Timestamp
from hypothesis import strategies as st

from datalayer import DataLayerError

MARK = "zq7"
"""Stands in every string that is made here, so that it is found again in what was sent."""


class Rude:
    """An object that does not let itself be looked at."""

    def _refuse(self, *_: object) -> Any:
        raise RuntimeError(MARK)

    __str__ = __repr__ = __eq__ = __hash__ = __bool__ = __float__ = __int__ = __index__ = _refuse  # type: ignore[assignment]


class Raising:
    """A collection that cannot be read to its end."""

    def __init__(self, error: Exception, *values: object) -> None:
        self._error, self._values = error, values

    def __iter__(self) -> Iterator[object]:
        yield from self._values
        raise self._error

    def __len__(self) -> int:
        raise self._error


class Unreadable:
    """A collection that nobody can begin to read."""

    def __iter__(self) -> Any:
        return MARK


class Words(str):
    """A string with a class of its own, which cannot be printed."""

    __slots__ = ()

    def __str__(self) -> str:
        raise RuntimeError(MARK)

    __repr__ = __str__


class Number(int):
    """A number with a class of its own."""


def nested(levels: int, inside: object = None, key: str | None = None) -> object:
    """Lists in each other, or dicts under a key."""
    for _ in range(levels):
        inside = [inside] if key is None else {key: inside}
    return inside


def _cyclic_list() -> object:
    cycle: list[object] = [MARK]
    cycle.append(cycle)
    return cycle


def _cyclic_dict() -> object:
    cycle: dict[str, object] = {}
    cycle["a"] = cycle
    return cycle


class _Pair(list[object]):
    """A list that can be printed whatever is in it."""

    def __repr__(self) -> str:
        return "[...]"


def _shared() -> object:
    """Few values in memory, and more than anybody can look at one by one."""
    value: object = MARK
    for _ in range(90):
        value = _Pair([value, value])
    return value


def _same(value: object) -> object:
    return value


_OPERATORS: tuple[object, ...] = (
    {"$gt": ""},
    {"$ne": None},
    {"$where": f"sleep(1000) || '{MARK}'"},
    {"$regex": f".*{MARK}"},
    {"$expr": {"$eq": [1, 1]}},
    {"$literal": MARK},
    {"$in": [MARK]},
    {"$inc": {"points": 1}},
    {"$$ROOT": MARK},
    [{"$gt": ""}],
    [{"$set": {"role": "admin"}}],
    [[{"$ne": MARK}]],
    {MARK: {"$gt": ""}},
    {MARK: [{MARK: {"$exists": True}}]},
)

_BSON: tuple[object, ...] = (
    Regex(f".*{MARK}"),
    DBRef(MARK, ObjectId()),
    Decimal128("1"),
    MinKey(),
    MaxKey(),
    Timestamp(1, 1),
    Binary(MARK.encode()),
    MARK.encode(),
    bytearray(MARK.encode()),
    uuid.uuid4(),
    datetime.now(UTC),
    Code(f"\0{MARK}", {"a": 1}),
)

_NUMBERS: tuple[object, ...] = (
    *(float("nan"), float("inf"), float("-inf"), complex(1, 2)),
    *(2**53, 2**63, -(2**63) - 1, 10**400, -(10**400)),
    # Not for nothing: both have `__float__`.
    *(Decimal(3), Decimal("NaN")),
)

_TEXTS: tuple[object, ...] = (f"{MARK}\0", f"\ud800{MARK}", f"{MARK}\udfff", "\0" * 10)

_OBJECTS: tuple[object, ...] = (
    *(Rude(), Rude, object(), print, type, ..., NotImplemented, MagicMock(spec=str)),
    *((MARK, b"x"), {MARK, b"x"}, frozenset({MARK, b"x"}), range(3), memoryview(b"x")),
    *([Rude()], {MARK: Rude()}, [float("nan")], [10**400], [f"{MARK}\0"], {MARK: b"x"}),
    *(_cyclic_list(), _cyclic_dict(), [_cyclic_list()]),
    *(nested(101), nested(101, key=MARK), nested(300), nested(5_000), nested(5_000, key="a"), _shared()),
)

RAISING: tuple[Callable[[], object], ...] = (
    lambda: Raising(RuntimeError(MARK)),
    lambda: Raising(LookupError(MARK * 100_000), ObjectId()),
    lambda: iter(Raising(StopAsyncIteration(), ObjectId(), ObjectId())),
    lambda: Raising(DataLayerError()),
    Unreadable,
)
"""What raises an error of its own while it is read."""

_ONE_USE: tuple[Callable[[], object], ...] = (
    lambda: (value for value in [{"$gt": ""}]),
    lambda: (value for value in [MARK, b"x"]),
    lambda: iter([Rude()]),
    lambda: map(bytes, [1]),
    *RAISING,
)

_REUSED = {"operator": _OPERATORS, "bson": _BSON, "number": _NUMBERS, "text": _TEXTS, "object": _OBJECTS}

POISON: dict[str, Callable[[], object]] = {
    **{f"{kind} {n}": partial(_same, value) for kind, values in _REUSED.items() for n, value in enumerate(values)},
    **{f"iterator {n}": make for n, make in enumerate(_ONE_USE)},
}
"""What no argument of any method may be, under names: some of it can be neither printed nor hashed."""

TEXTS: tuple[str, ...] = (
    *(f"${MARK}", f"$${MARK}", f"$$ROOT.{MARK}", f"${MARK}.a", f"$where:{MARK}", f"${{{MARK}}}"),
    *(f"{MARK}.a", f"a.{MARK}", f"__proto__.{MARK}", f"{MARK}", f'{MARK}"}}', f"{MARK}'; db.dropDatabase()"),
    *(f"\u202e{MARK}", f"e\u0301{MARK}", f"{MARK}\U0001f9d1\u200d\U0001f680", f"\ufeff{MARK}", f"{MARK}\n\r\t\x1b[31m"),
    *(f"(?s).*{MARK}", f"/{MARK}/i", f"%{MARK}%", f"{MARK}\u2028", f"<script>{MARK}</script>"),
)
"""Strings that are legal, and look like something else."""

ODD: st.SearchStrategy[Any] = st.one_of(
    st.sampled_from(TEXTS),
    st.sampled_from([Words(MARK), Code(f"${MARK}"), Int64(3), Number(3), "", " ", "\u3000", "x" * 100_001]),
    st.sampled_from([None, True, False, 0, -1, 1, 3.0, 1.5, -0.0, 2**31, 2**32, -(2**31), 2**53 - 1, 1e300]),
    st.sampled_from([[], {}, [None], [[]], {MARK: MARK}, {"a": [1]}, [MARK], [f"${MARK}"], {"length": 5}, nested(99)]),
    st.builds(lambda: str(ObjectId())),
    st.builds(ObjectId),
    st.builds(lambda: [ObjectId()]),
    st.builds(lambda: iter([MARK])),
    st.sampled_from([(MARK,), {MARK}, frozenset({MARK}), (None,)]),
    st.integers(),
    st.floats(),
    st.text(max_size=5).map(lambda text: f"{text}{MARK}"),
)
"""What is legal for some arguments, and not for others."""
