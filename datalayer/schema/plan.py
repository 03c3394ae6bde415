"""What has to be done to a database so that it has the declared schema. Pure: it follows from the two schemas alone.

Each step follows from the state of its collection and leads to another state, from which the next one follows. So a run
that was interrupted goes on where it was, whoever runs it.
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
"""The end of the name of an index that keeps a unique constraint while the one it stands for is replaced."""

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
    """One thing to do. Two steps are never the same, even where they read alike.

    Attributes:
        name: The index that it is about, where it is about one.
        why: The reason, for a reader.
        required: An application that declares this schema refuses to start before the step is done.
        shape: The index to build.
        validator: The validator to set.
        needs_drop: It happens only where dropping was asked for.
        purpose: What several steps are for: where one of them cannot be done, none of the rest is.
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
        """The collection, or the index with its collection in front."""
        return self.collection if self.name is None else f"{self.collection}.{self.name}"

    @property
    def adds(self) -> bool:
        """Whether it only adds what is not there: then an application may do it as it starts."""
        return not self.needs_drop and (
            self.action in (Action.CREATE_COLLECTION, Action.BUILD_INDEX)
            or (self.action is Action.SET_VALIDATOR and self.why == NO_VALIDATOR)
        )

    @property
    def automatic(self) -> bool:
        """Whether `apply` does it; `LOOK_INTO` is for people."""
        return self.action is not Action.LOOK_INTO

    def __str__(self) -> str:
        shape = "" if self.shape is None else f" {self.shape}"
        return f"{self.action.value} {self.place}{shape}"


def plan(declared: Iterable[Table], live: Mapping[str, Table], unknown: Iterable[str] = ()) -> list[Step]:
    """All steps, in the order in which they are done; where there is none, the schema is the declared one.

    Args:
        declared: The collections that there should be.
        live: Those of them that there are.
        unknown: The names of collections that nobody declares.
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
    """New indexes first, then those that replace others, at last those that go."""
    obstacles = {name: found for name in table.indexes if (found := _obstacles(table, live, name))}
    for name, shape in table.indexes.items():
        if name in obstacles:
            continue
        if name not in live.indexes:
            yield _build(table, name)
        elif name in live.building:
            # The same command again waits for it.
            yield _build(table, name, "it is still being built")
        elif live.indexes[name] != shape:
            why, required = "it is declared, and hidden", name not in table.staged
            yield Step(Action.UNHIDE_INDEX, table.name, why, name, required=required, purpose=name)
    yield from _replacement(table, live, obstacles)
    yield from _departures(table, live, obstacles)


def _obstacles(table: Table, live: Table, name: str) -> list[str]:
    """The live indexes that have to go before the declared one can come: of its name, or too like it."""
    shape = table.indexes[name]
    return [
        other
        for other, form in live.indexes.items()
        if (form.visible() != shape if other == name else form.signature == shape.signature)
    ]


def _replacement(table: Table, live: Table, obstacles: Mapping[str, Sequence[str]]) -> Iterator[Step]:
    """MongoDB cannot rename or change an index: the old one has to go before the new one can come.

    A unique index gets a guard first: the same index once more, which a filter that is always true makes another one
    for the server. So there is no moment without the constraint. All guards are there before the first index goes, and
    all obstacles are gone before the first one is built: one index may be in the way of another one.
    """
    required = {name for name in obstacles if _stops(table, live, name)}
    why = {name: _why_replaced(name, found) for name, found in obstacles.items()}
    guards = {name: _guard(live, name, table.indexes[name]) for name in obstacles if table.indexes[name].unique}
    step = partial(Step, collection=table.name, needs_drop=True, purpose=", ".join(obstacles))
    for name, (guard, shape) in guards.items():
        # Also where it is there: it may be unfinished.
        reason = f"it keeps {name} unique meanwhile"
        yield step(Action.BUILD_INDEX, why=reason, name=guard, shape=shape, required=name in required)
    for obstacle in dict.fromkeys(itertools.chain.from_iterable(obstacles.values())):
        stopped = [name for name, found in obstacles.items() if obstacle in found]
        reason = f"it is in the way of {stopped[0]}: {why[stopped[0]]}"
        yield step(Action.DROP_INDEX, why=reason, name=obstacle, required=not required.isdisjoint(stopped))
    for name in obstacles:
        shape = table.indexes[name]
        yield step(Action.BUILD_INDEX, why=why[name], name=name, shape=shape, required=name in required)
    for name, (guard, _) in guards.items():
        yield step(Action.DROP_INDEX, why=f"{name} is there again", name=guard, required=False)


def _stops(table: Table, live: Table, name: str) -> bool:
    """Returns whether an application cannot start before the index is replaced."""
    found = live.indexes.get(name)
    there = found is not None and name not in live.building and serves(found, table.indexes[name])
    return name not in table.staged and not there


def _why_replaced(name: str, obstacles: Sequence[str]) -> str:
    if name in obstacles:
        return "its keys or options are different"
    return f"its keys and options are there under the name {obstacles[0]}"


def _guard(live: Table, name: str, shape: IndexShape) -> tuple[str, IndexShape]:
    """The name and the form of its guard: those of an earlier run's, or free ones.

    An index that has the name and another form is no guard; one that has the form and another name may be in the way of
    the index that is guarded.
    """
    guard, form = f"{name}{GUARD}", shape.guard()
    for number in itertools.count(1):
        twins = {other for other, found in live.indexes.items() if found.signature == form.signature}
        if live.indexes.get(guard, form) == form and twins <= {guard}:
            break
        guard, form = f"{name}{GUARD}{number}", form.guard()
    return guard, form


def _departures(table: Table, live: Table, obstacles: Mapping[str, Sequence[str]]) -> Iterator[Step]:
    """What nobody declares: hidden at first, so that it can come back at once, and dropped by a later run."""
    kept = {*table.indexes, *itertools.chain.from_iterable(obstacles.values())}
    kept |= {_guard(live, name, table.indexes[name])[0] for name in obstacles if table.indexes[name].unique}
    for name, shape in live.indexes.items():
        if name in kept:
            continue
        match, limits = _GUARD.fullmatch(name), constrains(shape, table)
        if match is not None and match[1] in table.indexes:
            # An earlier run was interrupted. The index that it stands for is there by now.
            guarded, waits = match[1], match[1] in obstacles
            step = partial(Step, needs_drop=waits, purpose=", ".join(obstacles) if waits else guarded)
            yield step(Action.DROP_INDEX, table.name, f"{guarded} needs it no longer", name, required=limits)
            continue
        why = "no document declares it" + (", and it may refuse or remove documents" if limits else "")
        action, why = (Action.DROP_INDEX, f"{why}; it is hidden") if shape.hidden else (Action.HIDE_INDEX, why)
        yield Step(action, table.name, why, name, required=limits, needs_drop=True)
