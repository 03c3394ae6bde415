"""One call, again and again from the same state, and what it leaves behind."""

import asyncio
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import bson
import pymongo.common
from bson import ObjectId
from pymongo import AsyncMongoClient, MongoClient
from pymongo.asynchronous.client_session import AsyncClientSession

from datalayer.documents import Document
from datalayer.engine.ids import new_object_id
from datalayer.errors import DataLayerError, OutcomeUnknownError, UnavailableError
from datalayer.server.embedded import running
from datalayer.testing import Command
from tests.faults.injecting import APP_NAME, Connections, Injector, writes
from tests.faults.proxy import Proxy
from tests.plans.calls import Call
from tests.plans.world import FEW, Rows, World, changes, opened

Change = tuple[str, Any, Any]
"""The table, a document's id, and what it is afterwards; `None` where it is gone."""


@dataclass(frozen=True)
class Outcome:
    """What a call led to, in a form that is the same for each run: new ids are numbered.

    Attributes:
        error: What it raised.
        result: What it returned.
        changes: How the documents differ from what they were.
    """

    error: BaseException | None
    result: Any
    changes: list[Change]

    def faults(self, usual: "Outcome") -> Iterator[str]:
        """What should not be, given what the call leads to where nothing goes wrong."""
        if self.changes not in (usual.changes, []):
            yield f"half of it: {self.changes}"
        elif isinstance(self.error, asyncio.CancelledError):
            return
        elif self.error is None or not isinstance(self.error, UnavailableError):
            if (repr(self.error), self.result) != (repr(usual.error), usual.result):
                yield f"{self.error!r} or {self.result}, not {usual.error!r} or {usual.result}"
            if self.changes != usual.changes:
                yield "it says that it has happened, and it has not"
        elif not isinstance(self.error, OutcomeUnknownError) and self.changes:
            yield f"it says that nothing has happened, and it has: {self.error!r}"


_OPTIONS = f"directConnection=true&serverSelectionTimeoutMS=2000&serverMonitoringMode=poll&appName={APP_NAME}"


_SHORT_STATUS = {"serverStatus": 1, "wiredTiger": 0, "metrics": 0, "tcmalloc": 0, "locks": 0}


class Stage:
    """A world, a way to spoil what is sent to it, and a way to restore it."""

    def __init__(
        self,
        world: World,
        injector: Injector,
        connections: Connections,
        proxy: Proxy,
        admin: MongoClient[dict[str, Any]],
    ) -> None:
        self.world, self.injector = world, injector
        self._connections, self._proxy, self._admin = connections, proxy, admin
        self._sessions = weakref.WeakSet[AsyncClientSession]()
        self._remember_sessions(world.c.database.client)

    @asynccontextmanager
    async def prepared(self, call: Call) -> AsyncIterator["Scene"]:
        """The call with everything that has to be there first; at the end all is as it was."""
        with self.world.log.recorded() as first:
            arguments = [] if call.before is None else [await call.before(self.world)]
        prepared = {command.collection for command in first if writes(command)}
        scene = Scene(self, call, arguments, {table: await self.world.rows(table) for table in prepared})
        try:
            yield scene
        finally:
            for table in scene.tables:
                await self.world.put_back(table)

    async def rest(self) -> None:
        """Wait until that has ended whose caller was cancelled, here and on the server."""
        while workers := [task for task in asyncio.all_tasks() if "GroupCommit" in repr(task.get_coro())]:
            await asyncio.wait(workers)
        await self._proxy.rest()

    def leaks(self) -> Iterator[str]:
        """What a call has left open."""
        if any(not session.has_ended for session in self._sessions):
            yield "a session that has not ended"
        if self._connections.in_use:
            yield f"{self._connections.in_use} connections in use"
        if self._admin.admin.command(_SHORT_STATUS)["transactions"]["currentOpen"]:
            yield "an open transaction"

    def clean_up(self) -> None:
        """End what a call has left open."""
        self._admin.admin.command({"killAllSessions": []})
        self._sessions.clear()

    def _remember_sessions(self, client: AsyncMongoClient[Any]) -> None:
        start = client.start_session

        def remembered(*args: Any, **kwargs: Any) -> AsyncClientSession:
            session = start(*args, **kwargs)
            self._sessions.add(session)
            return session

        client.start_session = remembered


class Scene:
    """A call that can be made many times from the same state.

    Attributes:
        commands: What it sends where nothing goes wrong.
        usual: What it leads to then.
    """

    commands: list[Command]
    usual: Outcome

    def __init__(self, stage: Stage, call: Call, arguments: list[Any], rows: dict[str, Rows]) -> None:
        self._stage, self._call, self._arguments = stage, call, arguments
        self._rows = rows

    @property
    def tables(self) -> list[str]:
        """The tables that something was written to."""
        return list(self._rows)

    @property
    def is_writing(self) -> bool:
        """Whether the call changes something."""
        return any(writes(command) for command in self.commands)

    async def rehearse(self) -> None:
        """Make the call without a fault."""
        world = self._stage.world
        with world.log.recorded() as commands:
            result, error = await self._made()
        self.commands = commands
        for command in commands:
            if writes(command):
                self._rows.setdefault(command.collection, world.pristine(command.collection))
        self.usual = await self._outcome(result, error)

    async def outcome(self, around: Callable[[Awaitable[Any]], Awaitable[Any]] | None = None) -> Outcome:
        """Make the call again, by what a function makes of it, and look."""
        return await self._outcome(*await self._made(around))

    async def _made(self, around: Callable[[Awaitable[Any]], Awaitable[Any]] | None = None) -> tuple[Any, Any]:
        self._begun = new_object_id()
        running = self._call.run(self._stage.world, *self._arguments)
        try:
            return await (running if around is None else around(running)), None
        except (DataLayerError, asyncio.CancelledError) as error:
            return None, error
        finally:
            await self._stage.rest()

    async def _outcome(self, result: Any, error: BaseException | None) -> Outcome:
        found: list[Change] = []
        for table, before in self._rows.items():
            after = await self._stage.world.rows(table)
            changed = {id: _unlocked(row) for id, row in sorted(changes(before, after).items())}
            were = {id: _unlocked(bson.decode(before[id.binary])) for id in changed if id.binary in before}
            # A document that is locked is not changed.
            found += [(table, id, row) for id, row in changed.items() if id not in were or row != were[id]]
            await self._stage.world.put_back(table, before, after)
        numbers = _numbers([result, found], self._begun)
        return Outcome(error, _numbered(result, numbers), _numbered(found, numbers))


@asynccontextmanager
async def staged() -> AsyncIterator[Stage]:
    """A stage on a server of its own: fail points are the whole server's."""
    usual = pymongo.common.MIN_HEARTBEAT_INTERVAL
    # How long the driver waits before it looks at a server again that it has lost: half a second for each fault.
    pymongo.common.MIN_HEARTBEAT_INTERVAL = 0.01
    try:
        async with running(None) as servers:
            port = servers.nodes[0].port
            assert port is not None
            proxy = Proxy(port)
            with MongoClient[dict[str, Any]]("127.0.0.1", port, directConnection=True) as admin:
                injector, connections = Injector(admin, proxy), Connections()
                async with proxy.listening() as through:
                    uri = f"mongodb://127.0.0.1:{through}/?{_OPTIONS}"
                    listeners = [injector, connections]
                    async with opened(servers.uri, "faults", through=uri, listeners=listeners, **FEW) as world:
                        yield Stage(world, injector, connections, proxy, admin)
    finally:
        pymongo.common.MIN_HEARTBEAT_INTERVAL = usual


def _unlocked(row: dict[str, Any] | None) -> dict[str, Any] | None:
    """The document without its lock: after a conflict, the next attempt locks what it will write."""
    return None if row is None else {name: value for name, value in row.items() if name != "revision"}


def _numbers(value: Any, begun: ObjectId) -> dict[ObjectId | str, str]:
    """A name for each id that was made since the call began, in the order in which they were made; also as text."""
    found = sorted({id for id in _ids(value) if id > begun})
    return {form: f"new {number}" for number, id in enumerate(found) for form in (id, str(id))}


def _ids(value: Any) -> Iterator[ObjectId]:
    if isinstance(value, ObjectId):
        yield value
    elif isinstance(value, Mapping):
        for part in (*value, *value.values()):
            yield from _ids(part)
    elif isinstance(value, list | tuple | set):
        for part in value:
            yield from _ids(part)
    elif is_dataclass(value) or isinstance(value, Document):
        yield from _ids(_parts(value))


def _numbered(value: Any, numbers: Mapping[ObjectId | str, str]) -> Any:
    if isinstance(value, ObjectId | str):
        return numbers.get(value, value)
    if isinstance(value, Mapping):
        return {_numbered(key, numbers): _numbered(part, numbers) for key, part in value.items()}
    if isinstance(value, set):
        return {_numbered(part, numbers) for part in value}
    if isinstance(value, list | tuple):
        return [_numbered(part, numbers) for part in value]
    if is_dataclass(value) or isinstance(value, Document):
        return _numbered(_parts(value), numbers)
    return value


def _parts(value: Any) -> dict[str, Any]:
    if isinstance(value, Document):
        return _unlocked(value.to_wire()) or {}
    return {field.name: getattr(value, field.name) for field in fields(value)}
