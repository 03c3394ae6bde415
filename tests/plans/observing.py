"""Making an example call, and looking at the plans of everything that it sent."""

from collections.abc import Awaitable
from dataclasses import dataclass, field
from typing import Any

import pytest
from pymongo.asynchronous.database import AsyncDatabase

from datalayer.errors import AlreadyExistsError
from datalayer.testing import Command
from datalayer.testing.explained import PLANNED, Plan, explain, statements
from tests.plans.calls import Call
from tests.plans.lookups import inner_plans
from tests.plans.registry import CALLS
from tests.plans.world import World

_UNPLANNED = {"insert", "commitTransaction"}
_WRITES = ("insert", "update", "delete", "findAndModify")


Statement = dict[str, Any]


@dataclass
class Observed:
    """What a call did.

    Attributes:
        commands: What it sent.
        plans: The plans of those that have one, each with the statement.
        inner: The plans of the queries that lookups make, each with the statement.
        refused_by: The unique index that did not let something happen.
    """

    call: Call
    commands: list[Command]
    plans: list[tuple[Statement, Plan]] = field(default_factory=list)
    inner: list[tuple[Statement, Plan]] = field(default_factory=list)
    refused_by: str | None = None

    @property
    def round_trips(self) -> int:
        """How many commands it sent."""
        return len(self.commands)

    @property
    def indexes(self) -> set[str]:
        """The indexes that were used."""
        refusing = {self.refused_by} if self.refused_by else set[str]()
        return refusing | {index for _, plan in self.plans for index in plan.indexes}

    @property
    def of_tables(self) -> set[tuple[str, str]]:
        """The same, each with its table."""
        table = self.call.method.partition(".")[0]
        refusing = {(table, self.refused_by)} if self.refused_by else set[tuple[str, str]]()
        return refusing.union(*(plan.of_tables for _, plan in (*self.plans, *self.inner)))


class Observer:
    """Observes the calls of a method once, when they are asked for."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._seen: dict[str, list[Observed]] = {}

    @property
    def database(self) -> AsyncDatabase[dict[str, Any]]:
        """Where the plans are made."""
        return self.world.quiet

    async def of(self, method: str) -> list[Observed]:
        """What the method's calls did."""
        if method not in self._seen:
            self._seen[method] = [await self.observe(call) for call in CALLS[method]]
        return self._seen[method]

    async def observe(self, call: Call) -> Observed:
        """Make a call, look at what it does, and undo it."""
        world = self.world
        with world.log.recorded() as first:
            arguments = [] if call.before is None else [await call.before(world)]
        prepared = written(first)
        rows = {table: await world.rows(table) for table in prepared}
        with world.log.recorded() as commands:
            refused_by = await _refused_by(call, call.run(world, *arguments))
        # The plans are those of the data that the call found.
        for table in written(commands):
            await world.put_back(table, rows.get(table))
        observed = Observed(call, commands, refused_by=refused_by)
        for command in commands:
            for statement in planned(command):
                observed.plans.append((statement, await explain(world.quiet, statement)))
                observed.inner += [(statement, plan) for plan in await inner_plans(world.quiet, statement)]
        for table in prepared:
            await world.put_back(table)
        return observed


def planned(command: Command) -> list[Statement]:
    """Each part of the command that has a plan; a command that nobody can read is not passed over."""
    assert command.name in PLANNED | _UNPLANNED, f"nobody knows how to read the plan of {command.name}"
    return statements(command.document)


async def _refused_by(call: Call, running: Awaitable[Any]) -> str | None:
    """Let it run; the index that refused it, if one did."""
    if call.raises is None:
        await running
        return None
    with pytest.raises(call.raises) as raised:
        await running
    return raised.value.index if isinstance(raised.value, AlreadyExistsError) else None


def written(commands: list[Command]) -> set[str]:
    """The tables that the commands write to."""
    return {command.collection for command in commands if command.name in _WRITES and command.collection}
