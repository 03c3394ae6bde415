"""Computes the steps that bring a database to the declared schema. Pure: the two schemas are the only input.

Each step depends only on the current state of its collection, and leads to the state for the next step. So any process
can continue a run that was interrupted.
"""

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import partial
from typing import cast

from datalayer.schema.compatibility import accepts, constrains, serves
from datalayer.schema.tables import IndexShape, Table

GUARD = "__guard"
"""The name suffix of a guard: an index that enforces a unique constraint while the original index is replaced."""

_GUARD = re.compile(rf"(.+){GUARD}\d*")

NO_VALIDATOR = "it has no validator"


class Action(Enum):
    """What a step does."""

    CREATE_COLLECTION = "create collection"
    SET_VALIDATOR = "set validator"
    BUILD_INDEX = "build index"
    UNHIDE_INDEX = "unhide index"
    HIDE_INDEX = "hide index"
    DROP_INDEX = "drop index"
    LOOK_INTO = "look into"


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """One change to make. Steps compare by identity, even if they look alike.

    Attributes:
        name: The name of the index, if the step concerns one.
        why: The reason, for people.
        required: An application that declares this schema does not start until the step is done.
        shape: The index to build.
        validator: The validator to set.
        needs_drop: The step is done only with `drop`.
        purpose: The goal that several steps share: if one of them cannot be done, none of the others is.
    """

    action: Action
    collection: str
    why: str
    name: str | None = None
    required: bool = True
    shape: IndexShape | None = None
    validator: Mapping[str, object] | None = field(default=None, repr=False)
    needs_drop: bool = False
    purpose: str | None = None

    @property
    def place(self) -> str:
        """The name of the collection, or of the collection and the index: `posts.by_spaceId`."""
        return self.collection if self.name is None else f"{self.collection}.{self.name}"

    @property
    def adds(self) -> bool:
        """True if the step only adds something: then an application may do it at start-up."""
        return not self.needs_drop and (
            self.action in (Action.CREATE_COLLECTION, Action.BUILD_INDEX)
            or (self.action is Action.SET_VALIDATOR and self.why == NO_VALIDATOR)
        )

    @property
    def automatic(self) -> bool:
        """True if `apply` can do the step; `LOOK_INTO` requires a manual decision."""
        return self.action is not Action.LOOK_INTO

    def __str__(self) -> str:
        shape = "" if self.shape is None else f" {self.shape}"
        return f"{self.action.value} {self.place}{shape}"


def plan(declared: Iterable[Table], live: Mapping[str, Table], unknown: Iterable[str] = ()) -> list[Step]:
    """Return all steps in the order of execution. No steps means that the live schema is as declared.

    Args:
        declared: The declared collections.
        live: Those of them that exist, by name.
        unknown: The names of collections that no document declares.
    """
    tables = list(declared)
    steps = [step for table in tables for step in _creation(table, live.get(table.name))]
    there = [(table, live[table.name]) for table in tables if table.name in live]
    plain = [(table, found) for table, found in there if found.oddity is None]
    steps += [step for table, found in plain for step in _indexes(table, found)]
    steps += [step for table, found in plain for step in _validation(table, found)]
    steps += [Step(Action.LOOK_INTO, table.name, f"it {found.oddity}") for table, found in there if found.oddity]
    steps += [Step(Action.LOOK_INTO, name, "no document declares this collection", required=False) for name in unknown]
    return steps


def _creation(table: Table, live: Table | None) -> Iterator[Step]:
    if live is None:
        yield Step(Action.CREATE_COLLECTION, table.name, "it is missing", validator=table.validator)
        for name in table.indexes:
            yield _build(table, name)


def _build(table: Table, name: str, why: str = "it is missing") -> Step:
    staged = name in table.staged
    return Step(
        Action.BUILD_INDEX,
        table.name,
        f"it is staged, and {why.removeprefix('it is ')}" if staged else why,
        name,
        required=not staged,
        shape=table.indexes[name],
        purpose=name,
    )


def _validation(table: Table, live: Table) -> Iterator[Step]:
    step = partial(Step, Action.SET_VALIDATOR, table.name, validator=table.validator)
    if live.validator is None:
        yield step(NO_VALIDATOR)
    elif not live.enforced:
        yield step("its validator is switched off")
    elif live.validator != table.validator:
        if accepts(live.validator, table.validator or {}):
            # A narrower one would take away what another release, or an extended product, has added.
            fields = sorted(_properties(live.validator) - _properties(table.validator or {}))
            more = f": {', '.join(fields)}" if fields else ""
            yield step(f"its validator allows more{more}", required=False, needs_drop=True)
        else:
            yield step("its validator is different")


def _properties(validator: Mapping[str, object]) -> set[str]:
    schema = cast("Mapping[str, Mapping[str, object]]", validator.get("$jsonSchema", {}))
    return set(schema.get("properties", {}))


def _indexes(table: Table, live: Table) -> Iterator[Step]:
    """Return the steps for new indexes, then for replacements, then for undeclared indexes."""
    obstacles = {name: found for name in table.indexes if (found := _obstacles(table, live, name))}
    for name, shape in table.indexes.items():
        if name in obstacles:
            continue
        if name not in live.indexes:
            yield _build(table, name)
        elif name in live.building:
            # Repeating the command waits for the build.
            yield _build(table, name, "it is still being built")
        elif live.indexes[name] != shape:
            why, required = "it is declared, but hidden", name not in table.staged
            yield Step(Action.UNHIDE_INDEX, table.name, why, name, required=required, purpose=name)
    yield from _replacement(table, live, obstacles)
    yield from _departures(table, live, obstacles)


def _obstacles(table: Table, live: Table, name: str) -> list[str]:
    """Return the live indexes to drop before the declared one can be built: with its name, or with its signature."""
    shape = table.indexes[name]
    return [
        other
        for other, form in live.indexes.items()
        if (form.visible() != shape if other == name else form.signature == shape.signature)
    ]


def _replacement(table: Table, live: Table, obstacles: Mapping[str, Sequence[str]]) -> Iterator[Step]:
    """Return the steps that replace indexes. MongoDB cannot rename or change an index, so the old one is dropped first.

    A unique index first gets a guard: the same index with a filter that is always true, which makes it a different
    index for the server. So the constraint is enforced at every moment. All guards are built before the first index is
    dropped, and all obstacles are dropped before the first index is built: one index may block another.
    """
    required = {name for name in obstacles if _stops(table, live, name)}
    why = {name: _why_replaced(name, found) for name, found in obstacles.items()}
    guards = {name: _guard(live, name, table.indexes[name]) for name in obstacles if table.indexes[name].unique}
    step = partial(Step, collection=table.name, needs_drop=True, purpose=", ".join(obstacles))
    for name, (guard, shape) in guards.items():
        # Even if the guard exists: it may be unfinished.
        reason = f"it keeps {name} unique in the meantime"
        yield step(Action.BUILD_INDEX, why=reason, name=guard, shape=shape, required=name in required)
    for obstacle in dict.fromkeys(itertools.chain.from_iterable(obstacles.values())):
        stopped = [name for name, found in obstacles.items() if obstacle in found]
        reason = f"it is in the way of {stopped[0]}: {why[stopped[0]]}"
        yield step(Action.DROP_INDEX, why=reason, name=obstacle, required=not required.isdisjoint(stopped))
    for name in obstacles:
        shape = table.indexes[name]
        yield step(Action.BUILD_INDEX, why=why[name], name=name, shape=shape, required=name in required)
    for name, (guard, _) in guards.items():
        yield step(Action.DROP_INDEX, why=f"{name} has been rebuilt", name=guard, required=False)


def _stops(table: Table, live: Table, name: str) -> bool:
    """Return whether an application cannot start before the index is replaced."""
    found = live.indexes.get(name)
    there = found is not None and name not in live.building and serves(found, table.indexes[name])
    return name not in table.staged and not there


def _why_replaced(name: str, obstacles: Sequence[str]) -> str:
    if name in obstacles:
        return "its keys or options are different"
    return f"an index with its keys and options exists under the name {obstacles[0]}"


def _guard(live: Table, name: str, shape: IndexShape) -> tuple[str, IndexShape]:
    """Return the name and shape of the guard: those of a guard from an earlier run, or unused ones.

    An index with that name but another shape is not a guard. An index with that shape but another name may block the
    index that is guarded.
    """
    guard, form = f"{name}{GUARD}", shape.guard()
    for number in itertools.count(1):
        twins = {other for other, found in live.indexes.items() if found.signature == form.signature}
        if live.indexes.get(guard, form) == form and twins <= {guard}:
            break
        guard, form = f"{name}{GUARD}{number}", form.guard()
    return guard, form


def _departures(table: Table, live: Table, obstacles: Mapping[str, Sequence[str]]) -> Iterator[Step]:
    """Return the steps for undeclared indexes: one run hides them (unhiding is instant), a later one drops them."""
    kept = {*table.indexes, *itertools.chain.from_iterable(obstacles.values())}
    kept |= {_guard(live, name, table.indexes[name])[0] for name in obstacles if table.indexes[name].unique}
    for name, shape in live.indexes.items():
        if name in kept:
            continue
        match, limits = _GUARD.fullmatch(name), constrains(shape, table)
        if match is not None and match[1] in table.indexes:
            # A guard that an interrupted run left behind. The index that it guards exists by now.
            guarded, waits = match[1], match[1] in obstacles
            step = partial(Step, needs_drop=waits, purpose=", ".join(obstacles) if waits else guarded)
            yield step(Action.DROP_INDEX, table.name, f"{guarded} no longer needs it", name, required=limits)
            continue
        why = "no document declares it" + (", and it may reject or remove documents" if limits else "")
        action, why = (Action.DROP_INDEX, f"{why}; it is hidden") if shape.hidden else (Action.HIDE_INDEX, why)
        yield Step(action, table.name, why, name, required=limits, needs_drop=True)
