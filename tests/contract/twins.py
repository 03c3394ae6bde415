"""The same world twice, on a server and in memory; and what a call gives and leaves behind in each."""

import base64
from collections.abc import AsyncIterator, Collection, Iterator, Mapping
from collections.abc import Set as AbstractSet
from contextlib import asynccontextmanager
from dataclasses import dataclass, fields, is_dataclass
from functools import cached_property
from typing import Any

import bson
from bson import ObjectId
from pydantic import BaseModel

from datalayer import Community, Stories
from datalayer.engine.pages import _CHECK_BYTES, Page
from datalayer.errors import DataLayerError, NotSupportedInMemory
from datalayer.testing.memory import open_in_memory
from tests.plans.calls import Call
from tests.plans.observing import written
from tests.plans.world import World, changes

Changes = dict[tuple[str, ObjectId], dict[str, Any] | None]
"""Documents by table and id, as they are after a call; `None` for those that are gone."""


@dataclass(frozen=True)
class Outcome:
    """What a call has given or raised, and the documents that it has changed."""

    given: object
    changes: Changes

    def canonical(self, known: Collection[ObjectId]) -> object:
        """What can be compared: ids that are new are numbered in the order of their making."""
        new = sorted({id for id in _ids((self.given, list(self.changes.items()))) if id not in known})
        names = {id: f"new {number}" for number, id in enumerate(new)}
        changes = [_canonical([*place, row], names) for place, row in self.changes.items()]
        return _canonical(self.given, names), sorted(changes, key=repr)


class ServerWorld:
    """Makes calls on a server."""

    def __init__(self, world: World) -> None:
        self.world = world

    async def outcome(self, call: Call) -> Outcome:
        """Make the call, and take back what it did."""
        world = self.world
        with world.log.recorded() as commands:
            given = await _given(call, world, await _prepared(call, world))
        found: Changes = {}
        for table in written(commands):
            before, after = world.pristine(table), await world.rows(table)
            found |= {(table, id): row for id, row in changes(before, after).items()}
            await world.put_back(table, there=after)
        return Outcome(given, found)


class MemoryWorld(World):
    """Makes calls in memory."""

    def __init__(self, community: Community, stories: Stories, twin: World) -> None:
        quiet: Any = _Both(community.database, stories.database)
        super().__init__(community, stories, twin.log, quiet, twin.now)
        self._ids, self._rows = twin._ids, twin._rows
        self._pristine: dict[str, dict[ObjectId, dict[str, Any]]] = {}

    @cached_property
    def known(self) -> set[ObjectId]:
        """The ids of all documents that were there in the beginning."""
        return {ObjectId(id) for rows in self._rows.values() for id in rows}

    async def load(self) -> None:
        """Take over the twin's documents."""
        for name, rows in self._rows.items():
            if rows:
                await self.quiet.engine(name).insert_many([bson.decode(row) for row in rows.values()])
            self._pristine[name] = {ObjectId(id): bson.decode(row) for id, row in rows.items()}
            self._put_back(name)

    async def outcome(self, call: Call) -> Outcome:
        """Make the call, and take back what it did."""
        arguments = await _prepared(call, self)
        prepared = self._changes() if call.before else {}
        given = await _given(call, self, arguments)
        changes = self._changes()
        if isinstance(given, NotSupportedInMemory):
            assert changes == prepared, f"{call} has written something before it was refused: {given.message}"
        for table in {table for table, _ in changes}:
            self._put_back(table)
        return Outcome(given, changes)

    def _put_back(self, table: str) -> None:
        stored = self.quiet.engine(table)._store._documents
        stored.clear()
        stored.update(_copied(self._pristine[table]))

    def _changes(self) -> Changes:
        """How the documents differ from the pristine ones."""
        changes: Changes = {}
        for table, before in self._pristine.items():
            stored = self.quiet.engine(table)._store._documents
            if stored != before:
                changes |= {(table, id): row for id, row in stored.items() if before.get(id) != row}
                changes |= {(table, id): None for id in before.keys() - stored.keys()}
        return _copied(changes)


class _Both:
    """The collections of both databases, for what the examples look up themselves."""

    def __init__(self, *databases: Any) -> None:
        self._databases = {name: database for database in databases for name in database._collections}

    def with_options(self, **_: object) -> "_Both":
        return self

    def __getitem__(self, name: str) -> Any:
        return self._databases[name][name]

    def engine(self, name: str) -> Any:
        """The collection itself, without what the adapter checks."""
        return self[name]._engine

    __getattr__ = __getitem__


@asynccontextmanager
async def in_memory(world: World) -> AsyncIterator[MemoryWorld]:
    """The world's twin in memory."""
    async with (
        open_in_memory(Community, clock=lambda: world.now) as community,
        open_in_memory(Stories, clock=lambda: world.now) as stories,
    ):
        twin = MemoryWorld(community, stories, world)
        await twin.load()
        yield twin


async def _prepared(call: Call, world: World) -> list[object] | NotSupportedInMemory:
    """The arguments; what they need is written."""
    try:
        return [] if call.before is None else [await call.before(world)]
    except NotSupportedInMemory as refusal:
        return refusal


async def _given(call: Call, world: World, arguments: list[object] | NotSupportedInMemory) -> object:
    if isinstance(arguments, NotSupportedInMemory):
        return arguments
    try:
        return await call.run(world, *arguments)
    except DataLayerError as error:
        return error


def _copied(value: Any) -> Any:
    """A copy with the same ids in it: identical ones are compared much faster than equal ones."""
    if isinstance(value, dict):
        return {name: _copied(part) for name, part in value.items()}
    return [_copied(part) for part in value] if isinstance(value, list) else value


def _parts(value: object) -> Iterator[tuple[object, object]]:
    """What a value consists of."""
    if isinstance(value, Page):
        # What a cursor's checksum covers may be a new id.
        cursor = None if value.next is None else base64.urlsafe_b64decode(value.next + "==")[_CHECK_BYTES:]
        yield from (("items", value.items), ("next", cursor and bson.decode(cursor)))
    elif isinstance(value, BaseModel):
        yield from value.__dict__.items()
    elif is_dataclass(value):
        yield from ((field.name, getattr(value, field.name)) for field in fields(value))
    elif isinstance(value, Mapping):
        yield from value.items()
    elif isinstance(value, list | tuple):
        yield from enumerate(value)
    elif isinstance(value, AbstractSet):
        yield from ((item, item) for item in value)
    elif isinstance(value, DataLayerError):
        yield from vars(value).items()


def _ids(value: object) -> Iterator[ObjectId]:
    if isinstance(value, ObjectId):
        yield value
    for name, part in _parts(value):
        yield from _ids(name)
        yield from _ids(part)


def _canonical(value: object, names: Mapping[ObjectId, str]) -> object:
    if isinstance(value, ObjectId):
        return names.get(value, value)
    if isinstance(value, str):
        for id, name in names.items():
            value = value.replace(str(id), name)
        return value
    parts = [(_canonical(name, names), _canonical(part, names)) for name, part in _parts(value)]
    if isinstance(value, DataLayerError):
        return type(value), _canonical(str(value), names), parts
    if not isinstance(value, list | tuple):
        parts.sort(key=repr)
    return parts or value
