"""Every method keeps own fields, and returns the product's own classes with them."""

from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import bson
import pytest
from bson import ObjectId

from datalayer import Community, Stories
from datalayer.documents import Document
from datalayer.schema.application import apply
from tests.extension.products import NOTE, NotedCommunity, NotedStories
from tests.indexes.things import Silence
from tests.plans.calls import Call
from tests.plans.observing import written
from tests.plans.registry import CALLS, about
from tests.plans.world import FEW, Rows, World, opened

EVERY_CALL = [call for calls in CALLS.values() for call in calls if call.raises is None]
CLASSES = {document.Settings.name: document for document in (*NotedCommunity.documents, *NotedStories.documents)}
READS = {"find", "aggregate", "getMore", "count", "distinct"}


Products = tuple[Community, Stories]


@dataclass
class Noted:
    """A world in which each document has a note.

    Attributes:
        world: Its documents.
        extended: The products that know of the notes.
        plain: The library's own, which do not.
    """

    world: World
    extended: Products
    plain: Products

    def through(self, products: Products) -> World:
        """The world, whose methods are those of these products."""
        self.world.c, self.world.s = products
        return self.world


@pytest.fixture(scope="module")
async def noted(server_uri: str) -> AsyncIterator[Noted]:
    """A world in which each document has a note."""
    async with opened(server_uri, "noted", **FEW) as world:
        await apply(world.quiet, [*CLASSES.values()], Silence())
        for table in CLASSES:
            await world.quiet[table].update_many({}, {"$set": {NOTE: f"of {table}"}})
        await world.choose()
        database, how = world.c.database, {"schema": "verify", "clock": world.c.clock}
        async with NotedCommunity.over(database, **how) as community, NotedStories.over(database, **how) as stories:
            yield Noted(world, (community, stories), (world.c, world.s))


def documents_in(value: Any) -> Iterator[Document]:
    """The documents in a result, however deep."""
    if isinstance(value, Document):
        yield value
    elif is_dataclass(value):
        for field in fields(value):
            yield from documents_in(getattr(value, field.name))
    elif isinstance(value, Mapping):
        yield from documents_in([*value.values()])
    elif isinstance(value, list | tuple | set):
        for item in value:
            yield from documents_in(item)
    elif hasattr(value, "items") and hasattr(value, "next"):
        yield from documents_in(value.items)


def note(rows: Rows, id: ObjectId) -> object:
    """The note of a stored document; `...` where there is no such document."""
    row = rows.get(id.binary)
    return ... if row is None else bson.decode(row).get(NOTE)


async def lost(world: World, call: Call, *, extended: bool) -> list[str]:
    """The notes that a call lost, in the database or in its result. Afterwards all is as it was."""
    with world.log.recorded() as preparing:
        arguments = [] if call.before is None else [await call.before(world)]
    before = {table: await world.rows(table) for table in written(preparing)}
    with world.log.recorded() as commands:
        result = await call.run(world, *arguments)
    found: list[str] = []
    after: dict[str, Rows] = {}
    for table in written(commands):
        after[table] = await world.rows(table)
        for binary in before.get(table, world.pristine(table)):
            id = ObjectId(binary)
            now = note(after[table], id)
            if now not in (..., note(before.get(table, world.pristine(table)), id)):
                found.append(f"{table} {id}: the note is {now}")
    if extended:
        for document in documents_in(result):
            table = document.Settings.name
            rows = after.get(table) or before.get(table) or world.pristine(table)
            if type(document) is not CLASSES[table]:
                found.append(f"{table}: returned a {type(document).__name__}")
            elif note(rows, document.id) not in (..., document.x_note):
                found.append(f"{table} {document.id}: returned without the note")
    for table in {*before, *after}:
        await world.put_back(table)
    return found


ONE_OF_EACH = {call.method: call for call in EVERY_CALL}
FEWER = [about(call.method, call, id=str(call), thorough=call is not ONE_OF_EACH[call.method]) for call in EVERY_CALL]
"""One example of each method; all of them in a thorough run."""


@pytest.mark.parametrize("call", FEWER)
async def test_an_extended_product_returns_and_keeps_own_fields(noted: Noted, call: Call) -> None:
    """Whatever a method returns is of the product's class, with its own fields; and no write loses one."""
    assert await lost(noted.through(noted.extended), call, extended=True) == []


@pytest.mark.share(4)
@pytest.mark.parametrize("call", FEWER)
async def test_a_plain_product_keeps_own_fields(noted: Noted, call: Call) -> None:
    """A service that does not know of them may write to the same documents."""
    assert await lost(noted.through(noted.plain), call, extended=False) == []


@pytest.mark.share(4)
@pytest.mark.parametrize("call", FEWER)
async def test_reads_are_the_same_in_a_snapshot(noted: Noted, call: Call) -> None:
    """Whatever query they send; what writes is left out here."""
    world = noted.through(noted.extended)
    with world.log.recorded() as preparing:
        arguments = [] if call.before is None else [await call.before(world)]
    before = {table: await world.rows(table) for table in written(preparing)}
    with world.log.recorded() as commands:
        outside = await call.run(world, *arguments)
    try:
        if {command.name for command in commands} <= READS:
            async with world.c.snapshot():
                # An example may look something up: one snapshot does not span two clients.
                quiet, world.quiet = world.quiet, world.c.database
                try:
                    assert await call.run(world, *arguments) == outside
                finally:
                    world.quiet = quiet
    finally:
        for table in {*before, *written(commands)}:
            await world.put_back(table)
