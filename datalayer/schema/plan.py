"""What has to be done to a database so that it has the declared schema. Pure: it follows from the two schemas alone.

Each step follows from the state of its collection and leads to another state, from which the next one follows. So a run
that was interrupted goes on where it was, whoever runs it.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import partial

from datalayer.schema.tables import IndexShape, Table

GUARD = "__guard"
"""The end of the name of an index that keeps a unique constraint while the one it stands for is replaced."""


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
        shape: The index to build.
        validator: The validator to set.
        needs_drop: It happens only where dropping was asked for.
        purpose: The declared index that several steps are for: where one of them cannot be done, none of the rest is.
    """

    action: Action
    collection: str
    why: str
    name: str | None = None
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
    def departs(self) -> bool:
        """Whether it is about an index that nobody relies on."""
        return self.action in (Action.HIDE_INDEX, Action.DROP_INDEX) and self.purpose is None

    @property
    def automatic(self) -> bool:
        """Whether `apply` does it; what is no step but a remark stays for people."""
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
    for table in tables:
        if table.name in live:
            steps += _indexes(table, live[table.name])
    steps += [step for table in tables if table.name in live for step in _validation(table, live[table.name])]
    steps += [Step(Action.LOOK_INTO, name, "no document declares this collection") for name in unknown]
    return steps


def _creation(table: Table, live: Table | None) -> Iterator[Step]:
    if live is None:
        yield Step(Action.CREATE_COLLECTION, table.name, "it is missing", validator=table.validator)
        for name, shape in table.indexes.items():
            yield Step(Action.BUILD_INDEX, table.name, _why_missing(table, name), name, shape, purpose=name)


def _validation(table: Table, live: Table) -> Iterator[Step]:
    if live.validator != table.validator:
        why = NO_VALIDATOR if live.validator is None else "its validator is different"
        yield Step(Action.SET_VALIDATOR, table.name, why, validator=table.validator)
    elif not live.enforced:
        yield Step(Action.SET_VALIDATOR, table.name, "its validator is switched off", validator=table.validator)


def _indexes(table: Table, live: Table) -> Iterator[Step]:
    """New indexes first, then those that replace others, at last those that go."""
    replaced = [name for name in table.indexes if _obstacle(table, live, name) is not None]
    for name, shape in table.indexes.items():
        found = live.indexes.get(name)
        if found is None and name not in replaced:
            yield Step(Action.BUILD_INDEX, table.name, _why_missing(table, name), name, shape, purpose=name)
        elif found is not None and found.hidden and found.visible() == shape:
            yield Step(Action.UNHIDE_INDEX, table.name, "it is declared, and hidden", name, purpose=name)
    for name in replaced:
        yield from _replacement(table, live, name)
    yield from _departures(table, live, replaced)


def _why_missing(table: Table, name: str) -> str:
    return "it is staged, and missing" if name in table.staged else "it is missing"


def _obstacle(table: Table, live: Table, name: str) -> str | None:
    """The live index that is in the way of a declared one: of its name, or of its form under another name."""
    shape, found = table.indexes[name], live.indexes.get(name)
    if found is not None:
        return name if found.visible() != shape else None
    twins = (other for other, form in live.indexes.items() if form.visible() == shape)
    return next(twins, None)


def _replacement(table: Table, live: Table, name: str) -> Iterator[Step]:
    """MongoDB renames and changes no index: the old one has to go before the new one can come.

    A unique one gets a guard first: the same index once more, which a filter that is always true makes another one for
    the server. So there is no moment without the constraint.
    """
    shape, obstacle = table.indexes[name], _obstacle(table, live, name)
    renamed = obstacle is not None and obstacle != name
    why = (
        f"its keys and options are there under the name {obstacle}" if renamed else "its keys or options are different"
    )
    guard = name + GUARD
    step = partial(Step, collection=table.name, needs_drop=True, purpose=name)
    if shape.unique and guard not in live.indexes:
        yield step(Action.BUILD_INDEX, why=f"it keeps {name} unique meanwhile", name=guard, shape=shape.guard())
    yield step(Action.DROP_INDEX, why=f"it is in the way of {name}: {why}", name=obstacle)
    yield step(Action.BUILD_INDEX, why=why, name=name, shape=shape)
    if shape.unique:
        yield step(Action.DROP_INDEX, why=f"{name} is there again", name=guard)


def _departures(table: Table, live: Table, replaced: list[str]) -> Iterator[Step]:
    """What nobody declares: hidden at first, so that it can come back at once, and dropped by a later run."""
    obstacles = {_obstacle(table, live, name) for name in replaced}
    for name, shape in live.indexes.items():
        guarded = name.removesuffix(GUARD)
        if name in table.indexes or name in obstacles or (name.endswith(GUARD) and guarded in replaced):
            continue
        if name.endswith(GUARD) and guarded in table.indexes:
            # A run was interrupted. The one that it stands for is there, or has just been built.
            yield Step(Action.DROP_INDEX, table.name, f"{guarded} needs it no longer", name, purpose=guarded)
        elif shape.hidden:
            yield Step(
                Action.DROP_INDEX, table.name, "no document declares it, and it is hidden", name, needs_drop=True
            )
        else:
            yield Step(Action.HIDE_INDEX, table.name, "no document declares it", name, needs_drop=True)
