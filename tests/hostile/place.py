"""Calling a method, and seeing what it did: what came out, what was sent, and what was written."""

import random
from collections.abc import Mapping
from dataclasses import dataclass

from datalayer import DataLayerError, Page
from tests.hostile.arguments import ALL_METHODS, Arguments, Method, Named
from tests.hostile.sent import misplaced
from tests.plans.world import World

_TRIES = 100
_WRITES = ("insert", "update", "delete", "findAndModify")


@dataclass(frozen=True)
class Outcome:
    """What a call did.

    Attributes:
        error: What it raised, if it did.
        commands: The names of the commands that it sent.
        misplaced: The places in them where a marked string is more than a value.
        written: The tables that are not what they were.
        result: What it returned.
    """

    error: DataLayerError | None
    commands: list[str]
    misplaced: list[str]
    written: set[str]
    result: object = None


class Place:
    """A world to call methods in."""

    def __init__(self, world: World, arguments: Arguments) -> None:
        self.world = world
        self.arguments = arguments

    @classmethod
    async def of(cls, world: World) -> "Place":
        """The place with the arguments that its world has."""
        documents = (*world.c.documents, *world.s.documents)
        tables = [document.Settings.name for document in documents]
        return cls(world, Arguments({table: await world.quiet[table].find().to_list() for table in tables}))

    async def call(self, method: Method, arguments: Named, *positional: object) -> Outcome:
        """What the call did; everything is put back. What is no `DataLayerError` is raised."""
        error: DataLayerError | None = None
        result: object = None
        with self.world.log.recorded() as commands:
            try:
                result = await method.of(self.world)(*positional, **arguments)
            except DataLayerError as raised:
                error = raised
        wrong = [place for command in commands for place in misplaced(command.document)]
        names = [command.name for command in commands]
        touched = {str(command.collection) for command in commands if command.name in _WRITES}
        written: set[str] = set()
        for table in touched:
            there = await self.world.rows(table)
            if there != self.world.pristine(table):
                written.add(table)
                await self.world.put_back(table, there=there)
        return Outcome(error, names, wrong, written, result)

    async def cursors(self, limit: int = 1) -> Mapping[str, tuple[Named, str]]:
        """For every list, arguments with which it has a second page, and the cursor that leads there."""
        found: dict[str, tuple[Named, str]] = {}
        for name, method in ALL_METHODS.items():
            if "after" not in method.types:
                continue
            for seed in range(_TRIES):
                arguments = self.arguments.right(method, random.Random(seed))  # noqa: S311 - repeatable, not secret
                page = (await self.call(method, {**arguments, "limit": limit})).result
                if isinstance(page, Page) and page.next is not None:
                    found[name] = (arguments, page.next)
                    break
        return found
