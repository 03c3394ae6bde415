"""The filters that mongomock understands as MongoDB does."""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, cast

from bson import Int64, ObjectId

from datalayer.testing.memory.values import Wire, unsupported

_applies: Callable[[Wire, Wire], bool] = import_module("mongomock.filtering").filter_applies

_NUMBERS = (int, Int64, float)
_ALIKE = (type(None), str, ObjectId)
"""Types whose values are equal to none of another type, in Python as in MongoDB."""


class Filter:
    """A filter in the form that mongomock takes; everything that it would understand otherwise is refused."""

    def __init__(self, filter: Mapping[str, Any]) -> None:
        self.engine = _checked(filter)

    def matches(self, wire: Wire) -> bool:
        """Whether it lets the document through."""
        return bool(_applies(self.engine, wire))


def equalities(filter: Mapping[str, Any]) -> Wire:
    """The fields of which the filter says which value they have."""
    return {name: value for name, value in filter.items() if not name.startswith("$") and not _has_operators(value)}


def _checked(filter: Mapping[str, Any]) -> Wire:
    checked: Wire = {}
    for name, condition in filter.items():
        if name in ("$and", "$or"):
            checked[name] = [_checked(part) for part in condition]
        elif name.startswith("$"):
            raise unsupported(f"{name} in a filter")
        elif _is_plain(name, condition):
            # As it is, which is faster. Elsewhere an id would be equal to its text in an array of strings.
            checked[name] = condition
        else:
            checked[name] = _condition(name, condition if _has_operators(condition) else {"$eq": condition})
    return checked


def _is_plain(name: str, condition: object) -> bool:
    if isinstance(condition, ObjectId):
        return name == "_id"
    return isinstance(condition, str) or (condition is None and "." not in name)


def _has_operators(condition: object) -> bool:
    return isinstance(condition, dict) and any(name.startswith("$") for name in cast("Wire", condition))


def _condition(path: str, condition: Wire) -> Wire:
    checked: Wire = {}
    for operator, operand in condition.items():
        check = _OPERATORS.get(operator)
        if check is None:
            raise unsupported(f"{operator} in a filter")
        if "." in path and (operator in ("$ne", "$not") or operand in (None, False)):
            # Where a part of the path is missing, or no object, mongomock finds nothing.
            raise unsupported(f"a filter on what is not at {path}")
        checked |= check(path, operand)
    return checked


def _equal(_path: str, operand: object) -> Wire:
    if isinstance(operand, bool):
        # For Python, `False` is 0.
        return {"$eq": operand, "$type": "bool"}
    if type(operand) in _NUMBERS:
        return {"$eq": operand, "$type": "number"}
    return {"$eq": _alike(operand)}


def _not_equal(_path: str, operand: object) -> Wire:
    return {"$ne": operand if operand == [] else _alike(operand)}


def _among(_path: str, operand: object) -> Wire:
    if not isinstance(operand, list):
        raise unsupported("$in without an array")
    return {"$in": [_alike(value) for value in cast("list[object]", operand)]}


def _exists(_path: str, operand: object) -> Wire:
    return {"$exists": bool(operand)}


def _not(path: str, operand: object) -> Wire:
    if not isinstance(operand, dict):
        raise unsupported("$not without operators")
    return {"$not": _condition(path, cast("Wire", operand))}


def _compared(operator: str) -> Callable[[str, object], Wire]:
    def check(_path: str, operand: object) -> Wire:
        if type(operand) not in (*_NUMBERS, str, ObjectId, dict):
            raise unsupported(f"{operator} with a value of the type {type(operand).__name__}")
        return {operator: operand}

    return check


def _alike(value: object) -> object:
    if type(value) not in _ALIKE:
        raise unsupported(f"a filter by a value of the type {type(value).__name__} like this")
    return value


_OPERATORS: Mapping[str, Callable[[str, Any], Wire]] = {
    "$eq": _equal,
    "$ne": _not_equal,
    "$in": _among,
    "$exists": _exists,
    "$not": _not,
    **{operator: _compared(operator) for operator in ("$gt", "$gte", "$lt", "$lte")},
}
