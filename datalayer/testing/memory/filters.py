"""Filters: those that the repositories use, as MongoDB applies them.

mongomock's own differ where a value is in an array, where a part of a path is missing, and where Python takes `True`
for 1.
"""

import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias, cast

from bson import ObjectId

from datalayer.testing.memory.values import MISSING, Wire, order_of, rank_of, unsupported

Predicate: TypeAlias = Callable[[Wire], bool]

_Test: TypeAlias = Callable[[Sequence[object]], bool]
"""Whether the values at a path are as they should be."""


def predicate(filter: Mapping[str, Any]) -> Predicate:
    """What tells whether the filter finds a document."""
    parts = [_clause(name, condition) for name, condition in filter.items()]
    return lambda wire: all(part(wire) for part in parts)


def equalities(filter: Mapping[str, Any]) -> Wire:
    """The fields of which the filter says which value they have."""
    return {name: value for name, value in filter.items() if not name.startswith("$") and not _has_operators(value)}


def _clause(name: str, condition: Any) -> Predicate:  # noqa: ANN401
    if name in _LOGICAL and condition:
        gather, parts = _LOGICAL[name], [predicate(part) for part in condition]
        return lambda wire: gather(part(wire) for part in parts)
    if name.startswith("$"):
        raise unsupported(f"{name} in a filter")
    path, test = name.split("."), _test(condition if _has_operators(condition) else {"$eq": condition})
    return lambda wire: test(list(_values_at(wire, path)))


def _test(condition: Mapping[str, Any]) -> _Test:
    tests: list[_Test] = []
    for name, operand in condition.items():
        if name not in _OPERATORS:
            raise unsupported(f"{name} in a filter")
        tests.append(_OPERATORS[name](operand))
    return lambda values: all(test(values) for test in tests)


def _has_operators(condition: object) -> bool:
    return isinstance(condition, dict) and any(name.startswith("$") for name in cast("Wire", condition))


def _values_at(value: object, path: Sequence[str]) -> Iterator[object]:
    """What is at the path: of an array, its elements as well."""
    if not path:
        yield value
        if isinstance(value, list):
            yield from cast("list[object]", value)
    elif isinstance(value, dict):
        yield from _values_at(cast("Wire", value).get(path[0], MISSING), path[1:])
    elif isinstance(value, list):
        items = cast("list[object]", value)
        if path[0].isdigit():
            yield from _values_at(items[int(path[0])], path[1:]) if int(path[0]) < len(items) else ()
        for item in items:
            if isinstance(item, dict):
                yield from _values_at(cast("Wire", item), path)
    else:
        yield MISSING


def _equal(operand: Any) -> _Test:  # noqa: ANN401
    return _among([operand])


def _not_equal(operand: Any) -> _Test:  # noqa: ANN401
    equal = _among([operand])
    return lambda values: not equal(values)


def _among(operands: Any) -> _Test:  # noqa: ANN401
    if not isinstance(operands, list):
        raise unsupported("$in without an array")
    wanted = {order_of(operand) for operand in cast("list[Any]", operands)}
    # What is missing is equal to null.
    return lambda values: any(order_of(None if value is MISSING else value) in wanted for value in values)


def _exists(operand: Any) -> _Test:  # noqa: ANN401
    return lambda values: any(value is not MISSING for value in values) == bool(operand)


def _not(operand: Any) -> _Test:  # noqa: ANN401
    if not _has_operators(operand):
        raise unsupported("$not without operators")
    test = _test(operand)
    return lambda values: not test(values)


def _compared(compare: Callable[[Any, Any], bool]) -> Callable[[Any], _Test]:
    def test(operand: Any) -> _Test:  # noqa: ANN401
        if not isinstance(operand, _COMPARABLE):
            raise unsupported(f"a comparison with a value of the type {type(operand).__name__}")
        rank, than = order_of(operand)[0], order_of(operand)
        return lambda values: any(rank_of(value) == rank and compare(order_of(value), than) for value in values)

    return test


_COMPARABLE = (bool, int, float, str, dict, ObjectId)

_LOGICAL: Mapping[str, Callable[[Iterator[bool]], bool]] = {"$and": all, "$or": any}

_OPERATORS: Mapping[str, Callable[[Any], _Test]] = {
    "$eq": _equal,
    "$ne": _not_equal,
    "$in": _among,
    "$exists": _exists,
    "$not": _not,
    "$gt": _compared(operator.gt),
    "$gte": _compared(operator.ge),
    "$lt": _compared(operator.lt),
    "$lte": _compared(operator.le),
}
