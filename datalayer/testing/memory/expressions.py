"""The expressions of pipelines: those that the repositories use, as MongoDB evaluates them.

mongomock's own take a missing field for an error, which is null, nothing or false to MongoDB as the case may be.
"""

import operator
from collections.abc import Callable, Mapping
from typing import Any, cast

from datalayer.testing.memory.values import MISSING, Wire, order_of, rank_of, unsupported, value_at

Variables = Mapping[str, Any]

_NOTHING = (None, MISSING)
_TYPES = {1: "missing", 2: "null", 4: "string", 5: "object", 6: "array", 7: "objectId", 8: "bool"}


def evaluate(expression: Any, wire: Wire, variables: Variables) -> Any:  # noqa: ANN401
    """The expression's value for a document; `MISSING` where it has none."""
    if isinstance(expression, str) and expression.startswith("$$"):
        name, *path = expression[2:].split(".")
        if name not in variables:
            raise unsupported(f"the variable $${name}")
        return value_at(variables[name], path)
    if isinstance(expression, str) and expression.startswith("$"):
        return value_at(wire, expression[1:].split("."))
    if isinstance(expression, list):
        values = [evaluate(item, wire, variables) for item in cast("list[Any]", expression)]
        return [None if value is MISSING else value for value in values]
    if not isinstance(expression, dict):
        return expression
    fields = cast("Wire", expression)
    if is_operation(fields):
        ((name, operand),) = fields.items()
        return _operation(name, operand, wire, variables)
    return present({name: evaluate(value, wire, variables) for name, value in fields.items()})


def is_operation(expression: object) -> bool:
    """Whether it is an operator with its operands, and no object."""
    return isinstance(expression, dict) and next(iter(cast("Wire", expression)), "").startswith("$")


def is_true(value: object) -> bool:
    """Whether MongoDB takes the value for true: all but false, 0, null and nothing."""
    return not (value in _NOTHING or value is False or (rank_of(value) == rank_of(0) and value == 0))


def present(fields: Mapping[str, Any]) -> Wire:
    """The fields that have a value."""
    return {name: value for name, value in fields.items() if value is not MISSING}


def _operation(name: str, operand: Any, wire: Wire, variables: Variables) -> Any:  # noqa: ANN401
    if name in _UNEVALUATED:
        return _UNEVALUATED[name](operand, wire, variables)
    if name not in _FUNCTIONS:
        raise unsupported(f"the expression {name}")
    operands = cast("list[Any]", operand if isinstance(operand, list) else [operand])
    arguments = [evaluate(argument, wire, variables) for argument in operands]
    try:
        return _FUNCTIONS[name](*arguments)
    except TypeError:
        raise unsupported(f"{name} of {len(arguments)} such arguments") from None


def _cond(operand: Any, wire: Wire, variables: Variables) -> Any:  # noqa: ANN401
    condition, yes, no = operand
    return evaluate(yes if is_true(evaluate(condition, wire, variables)) else no, wire, variables)


def _switch(operand: Any, wire: Wire, variables: Variables) -> Any:  # noqa: ANN401
    for branch in operand["branches"]:
        if is_true(evaluate(branch["case"], wire, variables)):
            return evaluate(branch["then"], wire, variables)
    return evaluate(operand["default"], wire, variables)


def _filter(operand: Any, wire: Wire, variables: Variables) -> Any:  # noqa: ANN401
    items = evaluate(operand["input"], wire, variables)
    if items in _NOTHING:
        return None
    return [item for item in _array(items) if is_true(evaluate(operand["cond"], wire, {**variables, "this": item}))]


def _regex_match(operand: Any, wire: Wire, variables: Variables) -> bool:  # noqa: ANN401
    regex = str(operand["regex"])
    characters = regex[1:-1]
    if (regex[:1], regex[-1:]) != ("[", "]") or set(characters) & set("[]\\^-"):
        raise unsupported("$regexMatch of more than some characters in brackets")
    text = evaluate(operand["input"], wire, variables)
    return text not in _NOTHING and any(character in characters for character in _text(text))


def _replace_all(operand: Any, wire: Wire, variables: Variables) -> Any:  # noqa: ANN401
    values = [evaluate(operand[name], wire, variables) for name in ("input", "find", "replacement")]
    if any(value in _NOTHING for value in values):
        return None
    text, find, replacement = map(_text, values)
    return text.replace(find, replacement)


def _add(*values: Any) -> Any:  # noqa: ANN401
    numbers = [_number(value) for value in values if value not in _NOTHING]
    return sum(numbers) if len(numbers) == len(values) else None


def _max(*values: Any) -> Any:  # noqa: ANN401
    return max((value for value in values if value not in _NOTHING), key=order_of, default=None)


def _if_null(*values: Any) -> Any:  # noqa: ANN401
    return next((value for value in values[:-1] if value not in _NOTHING), values[-1])


def _first(value: Any) -> Any:  # noqa: ANN401
    return None if value in _NOTHING else next(iter(_array(value)), MISSING)


def _slice(value: Any, count: int) -> Any:  # noqa: ANN401
    if value in _NOTHING:
        return None
    return _array(value)[count:] if count < 0 else _array(value)[:count]


def _concat_arrays(*values: Any) -> Any:  # noqa: ANN401
    arrays = [_array(value) for value in values if value not in _NOTHING]
    return [item for array in arrays for item in array] if len(arrays) == len(values) else None


def _merge_objects(*values: Any) -> Wire:  # noqa: ANN401
    merged: Wire = {}
    for value in values:
        if value not in _NOTHING:
            merged |= _object(value)
    return merged


def _split(value: Any, separator: str) -> Any:  # noqa: ANN401
    return None if value in _NOTHING else _text(value).split(separator)


def _type(value: Any) -> str:  # noqa: ANN401
    rank = rank_of(value)
    if rank not in _TYPES:
        raise unsupported("$type of a number")
    return _TYPES[rank]


def _compared(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    def function(one: Any, other: Any) -> bool:  # noqa: ANN401
        return compare(order_of(one), order_of(other))

    return function


def _all(*values: Any) -> bool:  # noqa: ANN401
    return all(map(is_true, values))


def _size(value: Any) -> int:  # noqa: ANN401
    return len(_array(value))


def _number(value: Any) -> Any:  # noqa: ANN401
    if rank_of(value) != rank_of(0):
        raise unsupported("an addition of what is no number")
    return value


def _array(value: Any) -> list[Any]:  # noqa: ANN401
    if not isinstance(value, list):
        raise unsupported("the use of something else as an array")
    return cast("list[Any]", value)


def _object(value: Any) -> Wire:  # noqa: ANN401
    if not isinstance(value, dict):
        raise unsupported("the use of something else as an object")
    return cast("Wire", value)


def _text(value: Any) -> str:  # noqa: ANN401
    if not isinstance(value, str):
        raise unsupported("the use of something else as a string")
    return value


_UNEVALUATED: Mapping[str, Callable[[Any, Wire, Variables], Any]] = {
    "$literal": lambda operand, _wire, _variables: operand,
    "$cond": _cond,
    "$switch": _switch,
    "$filter": _filter,
    "$regexMatch": _regex_match,
    "$replaceAll": _replace_all,
}
"""Those that evaluate their operands themselves, if at all."""

_FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "$add": _add,
    "$and": _all,
    "$concatArrays": _concat_arrays,
    "$eq": _compared(operator.eq),
    "$first": _first,
    "$gt": _compared(operator.gt),
    "$ifNull": _if_null,
    "$lte": _compared(operator.le),
    "$max": _max,
    "$mergeObjects": _merge_objects,
    "$ne": _compared(operator.ne),
    "$size": _size,
    "$slice": _slice,
    "$split": _split,
    "$type": _type,
}
