"""What an update makes of a document."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias, cast

from datalayer.testing.memory.expressions import evaluate, is_operation
from datalayer.testing.memory.values import MISSING, Wire, order_of, unsupported

Update: TypeAlias = Mapping[str, Any] | Sequence[Mapping[str, Any]]


def updated(before: Wire, update: Update, *, inserted: bool = False) -> Wire:
    """The document after the update; `inserted` where it is being made by it."""
    after = dict(before)
    if not isinstance(update, Mapping):
        for stage in update:
            ((name, operand),) = stage.items()
            if name not in _STAGES:
                raise unsupported(f"{name} in an update")
            after = _STAGES[name](after, operand)
        return after
    _refuse_conflicts(update)
    for operator, fields in update.items():
        if operator not in _OPERATORS:
            raise unsupported(f"{operator} in an update")
        if operator != "$setOnInsert" or inserted:
            for name, operand in fields.items():
                _OPERATORS[operator](after, name, operand)
    return after


def with_fields(wire: Wire, fields: Mapping[str, Any], variables: Mapping[str, Any] | None = None) -> Wire:
    """The document with the fields that the expressions give, as `$set` has it in a pipeline."""
    _refuse_paths(fields)
    if any(isinstance(value, dict) and not is_operation(cast("Wire", value)) for value in fields.values()):
        raise unsupported("$set of a part of a field")
    found = {name: evaluate(expression, wire, variables or {}) for name, expression in fields.items()}
    return {name: value for name, value in {**wire, **found}.items() if value is not MISSING}


def without_fields(wire: Wire, names: str | Sequence[str]) -> Wire:
    """The document without the fields, as `$unset` has it in a pipeline."""
    gone = [names] if isinstance(names, str) else names
    _refuse_paths(gone)
    return {name: value for name, value in wire.items() if name not in gone}


def _refuse_conflicts(update: Mapping[str, Mapping[str, Any]]) -> None:
    names = [name for fields in update.values() for name in fields]
    _refuse_paths(names)
    if len(set(names)) < len(names):
        raise unsupported("an update that changes a field twice")


def _refuse_paths(names: Mapping[str, Any] | Sequence[str]) -> None:
    for name in names:
        if "." in name or name.startswith("$"):
            raise unsupported(f"an update of {name}")


def _set(wire: Wire, name: str, operand: object) -> None:
    wire[name] = operand


def _unset(wire: Wire, name: str, _operand: object) -> None:
    wire.pop(name, None)


def _inc(wire: Wire, name: str, operand: object) -> None:
    before = wire.get(name, 0)
    for number in (before, operand):
        if not isinstance(number, int | float) or isinstance(number, bool):
            raise unsupported("$inc of what is no number")
    wire[name] = cast("float", before) + cast("float", operand)


def _max(wire: Wire, name: str, operand: object) -> None:
    if name not in wire or order_of(wire[name]) < order_of(operand):
        wire[name] = operand


_OPERATORS: Mapping[str, Callable[[Wire, str, Any], None]] = {
    "$set": _set,
    "$setOnInsert": _set,
    "$unset": _unset,
    "$inc": _inc,
    "$max": _max,
}

_STAGES: Mapping[str, Callable[[Wire, Any], Wire]] = {"$set": with_fields, "$unset": without_fields}
