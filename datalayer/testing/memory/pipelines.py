"""The stages of aggregations: those that the repositories use, as MongoDB runs them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeAlias, cast

from datalayer.testing.memory.expressions import Variables, evaluate, is_operation, is_true, present
from datalayer.testing.memory.filters import predicate
from datalayer.testing.memory.indexes import sorted_by
from datalayer.testing.memory.updates import with_fields, without_fields
from datalayer.testing.memory.values import MISSING, Order, Wire, order_of, rank_of, unsupported

Stages: TypeAlias = Sequence[Mapping[str, Any]]


class Source(Protocol):
    """A collection, as a pipeline reads it."""

    def find(self, filter: Mapping[str, Any], hint: str | None = None) -> list[Wire]:
        """Copies of the documents that the filter finds, in the order of the hinted index."""
        ...


Sources: TypeAlias = Callable[[str], Source]
"""Gives a collection by its name."""


def run(wires: list[Wire], stages: Stages, sources: Sources, variables: Variables) -> list[Wire]:
    """What the stages make of the documents, one after the other."""
    for stage in stages:
        ((name, operand),) = stage.items()
        if name in _READING:
            wires = _READING[name](wires, operand, sources, variables)
        elif name in _PLAIN:
            wires = _PLAIN[name](wires, operand, variables)
        else:
            raise unsupported(f"the stage {name}")
    return wires


def read(
    source: Source, stages: Stages, sources: Sources, variables: Variables, *, hint: str | None = None
) -> list[Wire]:
    """What the stages make of a collection."""
    filter: Mapping[str, Any] = {}
    if stages and "$match" in stages[0] and "$expr" not in stages[0]["$match"]:
        filter, stages = stages[0]["$match"], stages[1:]
    return run(source.find(filter, hint), stages, sources, variables)


def _lookup(wires: list[Wire], operand: Wire, sources: Sources, variables: Variables) -> list[Wire]:
    _only(operand, "from", "localField", "foreignField", "let", "pipeline", "as", what="$lookup")
    source, stages = sources(operand["from"]), operand.get("pipeline", [])
    for wire in wires:
        bound = {name: evaluate(value, wire, variables) for name, value in operand.get("let", {}).items()}
        among = [{"$match": _joined(wire, operand)}] if "localField" in operand else []
        wire[operand["as"]] = read(source, [*among, *stages], sources, {**variables, **bound})
    return wires


def _joined(wire: Wire, operand: Wire) -> Wire:
    """The filter of the documents that a lookup joins."""
    local = evaluate("$" + operand["localField"], wire, {})
    values: list[Any] = cast("list[Any]", local) if isinstance(local, list) else [local]
    if operand["foreignField"] == "_id":
        # Nothing has no id; of a path through what is missing, MongoDB takes null.
        values = [value for value in values if value not in (None, MISSING)]
    elif not values or any(value in (None, MISSING) for value in values):
        raise unsupported("a $lookup of what is missing")
    return {operand["foreignField"]: {"$in": values}}


def _union(wires: list[Wire], operand: Wire, sources: Sources, _variables: Variables) -> list[Wire]:
    _only(operand, "coll", "pipeline", what="$unionWith")
    return wires + read(sources(operand["coll"]), operand["pipeline"], sources, {})


def _match(wires: list[Wire], operand: Wire, variables: Variables) -> list[Wire]:
    condition = operand.get("$expr", True)
    applies = predicate({name: value for name, value in operand.items() if name != "$expr"})
    return [wire for wire in wires if applies(wire) and is_true(evaluate(condition, wire, variables))]


def _group(wires: list[Wire], operand: Wire, variables: Variables) -> list[Wire]:
    keys: dict[Order, Any] = {}
    members: dict[Order, list[Wire]] = {}
    for wire in wires:
        key = evaluate(operand["_id"], wire, variables)
        key = None if key is MISSING else key
        keys.setdefault(order_of(key), key)
        members.setdefault(order_of(key), []).append(wire)
    accumulators = {name: value for name, value in operand.items() if name != "_id"}
    return [
        {"_id": key, **{name: _accumulated(value, members[order], variables) for name, value in accumulators.items()}}
        for order, key in keys.items()
    ]


def _accumulated(accumulator: Wire, wires: list[Wire], variables: Variables) -> Any:  # noqa: ANN401
    ((name, operand),) = accumulator.items()
    if name == "$firstN":
        _only(operand, "input", "n", what="$firstN")
        # As an array: in it, what is missing is null.
        return [evaluate([operand["input"]], wire, variables)[0] for wire in wires[: operand["n"]]]
    values = [evaluate(operand, wire, variables) for wire in wires]
    if name not in _ACCUMULATORS:
        raise unsupported(f"the accumulator {name}")
    return _ACCUMULATORS[name]([value for value in values if value is not MISSING])


def _sum(values: list[Any]) -> Any:  # noqa: ANN401
    return sum(value for value in values if rank_of(value) == rank_of(0))


def _min(values: list[Any]) -> Any:  # noqa: ANN401
    return min((value for value in values if value is not None), key=order_of, default=None)


def _project(wires: list[Wire], operand: Wire, variables: Variables) -> list[Wire]:
    return [projected(wire, operand, variables) for wire in wires]


def projected(wire: Wire, fields: Mapping[str, Any], variables: Variables) -> Wire:
    """The document with these fields only, and its `_id` unless that is 0."""
    kept: dict[str, Any] = {"_id": True}
    computed: Wire = {}
    for name, value in fields.items():
        if name == "_id" or value == 1:
            _keep(kept, name.split("."), bool(value))
        elif str(value).startswith("$") or is_operation(value):
            computed[name] = value
        else:
            raise unsupported(f"a projection of {name} by {value!r}")
    found = {name: evaluate(value, wire, variables) for name, value in computed.items()}
    return {**_kept(wire, kept), **present(found)}


def _keep(kept: dict[str, Any], path: Sequence[str], value: bool) -> None:
    for name in path[:-1]:
        kept = kept.setdefault(name, {})
    kept[path[-1]] = value


def _kept(value: Any, names: Mapping[str, Any]) -> Any:  # noqa: ANN401
    """The parts of a value that a projection names; of an array, those of its objects."""
    if isinstance(value, list):
        items = cast("list[Any]", value)
        return [_kept(item, names) for item in items if isinstance(item, dict | list)]
    found: Wire = {}
    for name, inner in cast("Wire", value).items():
        if names.get(name) is True:
            found[name] = inner
        elif isinstance(names.get(name), dict) and isinstance(inner, dict | list):
            found[name] = _kept(inner, names[name])
    return found


def _count(wires: list[Wire], operand: str, _variables: Variables) -> list[Wire]:
    return [{operand: len(wires)}] if wires else []


def _unwind(wires: list[Wire], operand: str, _variables: Variables) -> list[Wire]:
    name = operand.removeprefix("$")
    if "." in name or not all(isinstance(wire.get(name, []), list) for wire in wires):
        raise unsupported("$unwind of more than an array")
    return [{**wire, name: item} for wire in wires for item in wire.get(name, [])]


def _replace(wires: list[Wire], operand: Any, variables: Variables) -> list[Wire]:  # noqa: ANN401
    found = [evaluate(operand, wire, variables) for wire in wires]
    if not all(isinstance(wire, dict) for wire in found):
        raise unsupported("$replaceWith by what is no document")
    return found


def _only(operand: Wire, *names: str, what: str) -> None:
    for name in operand:
        if name not in names:
            raise unsupported(f"{name} in {what}")


_READING: Mapping[str, Callable[[list[Wire], Any, Sources, Variables], list[Wire]]] = {
    "$lookup": _lookup,
    "$unionWith": _union,
}

_PLAIN: Mapping[str, Callable[[list[Wire], Any, Variables], list[Wire]]] = {
    "$match": _match,
    "$sort": lambda wires, operand, _variables: sorted_by(wires, operand),
    "$limit": lambda wires, operand, _variables: wires[:operand],
    "$group": _group,
    "$project": _project,
    "$set": lambda wires, operand, variables: [with_fields(wire, operand, variables) for wire in wires],
    "$unset": lambda wires, operand, _variables: [without_fields(wire, operand) for wire in wires],
    "$count": _count,
    "$unwind": _unwind,
    "$replaceWith": _replace,
}

_ACCUMULATORS: Mapping[str, Callable[[list[Any]], Any]] = {"$sum": _sum, "$push": list, "$min": _min}
