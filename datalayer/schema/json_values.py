"""The validator condition for fields of the type `Json`.

A `$jsonSchema` cannot be recursive, so it cannot describe values that are nested to any depth. An expression can walk
through them level by level.
"""

import sys
from typing import Any

from datalayer.engine.fields import MAX_DEPTH, MAX_INTEGER, MAX_KEY, MAX_STRING, MAX_VALUES

Expression = dict[str, Any]

_ROUNDS = 11
"""The number of rounds, and of levels in each round. For a flat value, most rounds have nothing to do."""


def is_json(path: str) -> Expression:
    """Return the expression for the field at the path. It accepts a missing field.

    The walk holds the values of one level at a time, beginning with the field's value at depth 0.
    """
    begin = {"level": [{"$ifNull": [f"${path}", None]}], "depth": 0, "values": 0, "fine": True}
    level = "$$value.level"
    step = {
        "level": _inside(level),
        "depth": {"$add": ["$$value.depth", 1]},
        "values": {"$add": ["$$value.values", {"$size": level}]},
        "fine": {"$and": ["$$value.fine", _all(level, "one", _is_fine("$$one"))]},
    }
    fine: list[object] = [
        "$$walked.fine",
        {"$eq": ["$$walked.level", []]},
        # The field itself counts as the first level and the first value.
        {"$lte": ["$$walked.depth", MAX_DEPTH + 1]},
        {"$lte": ["$$walked.values", MAX_VALUES + 1]},
    ]
    return {"$let": {"vars": {"walked": _repeat(begin, _repeat("$$value", step))}, "in": {"$and": fine}}}


def _repeat(begin: object, step: object) -> Expression:
    """Return the expression that repeats the step while there is another level, at most `_ROUNDS` times."""
    next_one: Expression = {"$cond": [{"$eq": ["$$value.level", []]}, "$$value", step]}
    return {"$reduce": {"input": {"$range": [0, _ROUNDS]}, "initialValue": begin, "in": next_one}}


def _all(values: object, name: str, condition: Expression) -> Expression:
    return {"$allElementsTrue": {"$map": {"input": values, "as": name, "in": condition}}}


def _inside(level: str) -> Expression:
    """Return the expression for the values nested one level below the given level."""
    kind = {"$type": "$$one"}
    objects = {"$map": {"input": {"$objectToArray": "$$one"}, "as": "pair", "in": "$$pair.v"}}
    cases = [
        {"case": {"$eq": [kind, "object"]}, "then": objects},
        {"case": {"$eq": [kind, "array"]}, "then": "$$one"},
    ]
    inner = {"$map": {"input": level, "as": "one", "in": {"$switch": {"branches": cases, "default": []}}}}
    return {"$reduce": {"input": inner, "initialValue": [], "in": {"$concatArrays": ["$$value", "$$this"]}}}


def _is_fine(value: str) -> Expression:
    """Return the expression that checks that a value is JSON or an id, within the limits.

    Nested values are checked with the next level.
    """
    kind = {"$type": value}
    names = {"$map": {"input": {"$objectToArray": value}, "as": "pair", "in": "$$pair.k"}}
    cases: list[tuple[list[str], object]] = [
        (["string"], {"$and": [_at_most({"$strLenCP": value}, MAX_STRING), _lacks(value, "\0")]}),
        (["int", "long"], {"$and": [{"$gte": [value, -MAX_INTEGER]}, _at_most(value, MAX_INTEGER)]}),
        # NaN sorts before all numbers.
        (["double"], {"$and": [{"$gte": [value, -sys.float_info.max]}, _at_most(value, sys.float_info.max)]}),
        (["object"], _all(names, "name", _is_name("$$name"))),
        (["objectId", "bool", "null", "array"], True),
    ]
    branches = [{"case": {"$in": [kind, kinds]}, "then": condition} for kinds, condition in cases]
    return {"$switch": {"branches": branches, "default": False}}


def _is_name(name: str) -> Expression:
    length = {"$strLenCP": name}
    dollar = {"$eq": [{"$substrCP": [name, 0, 1]}, {"$literal": "$"}]}
    return {"$and": [{"$gt": [length, 0]}, _at_most(length, MAX_KEY), {"$not": dollar}, _lacks(name, ".")]}


def _at_most(value: object, limit: float) -> Expression:
    return {"$lte": [value, limit]}


def _lacks(text: str, character: str) -> Expression:
    return {"$eq": [{"$indexOfBytes": [text, character]}, -1]}
