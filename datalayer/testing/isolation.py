"""A database on a server that is emptied before each test."""

import asyncio
import re
import uuid
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import Context
from typing import Any, TypeVar

from pymongo import AsyncMongoClient, MongoClient, WriteConcern
from pymongo.monitoring import CommandFailedEvent, CommandListener, CommandStartedEvent, CommandSucceededEvent

from datalayer.database import Database
from datalayer.engine.binding import bind, unbind
from datalayer.engine.clock import Clock
from datalayer.engine.document import Document, collection_classes
from datalayer.errors import InvalidInputError
from datalayer.schema.application import apply
from datalayer.schema.lock import Holder
from datalayer.schema.plan import Step
from datalayer.testing.commands import CommandLog

D = TypeVar("D", bound=Database)

_WRITES = {"insert", "update", "delete", "findAndModify"}
_DEFINITIONS = {"create", "drop", "dropDatabase", "renameCollection", "collMod", "createIndexes", "dropIndexes"}
_OF_THE_SERVER = {"admin", "config", "local"}


class IsolatedDatabase:
    """A database whose schema is created once, and whose documents are removed before each test.

    A pymongo client belongs to the first event loop that uses it, and the next test may have another loop. So each test
    gets its own client. Work between tests is done by a synchronous client.

    Attributes:
        uri: The URI of the database.
    """

    def __init__(self, server: str, runner: asyncio.Runner, *, is_ours: bool) -> None:
        """Choose a unique name. Nothing is created yet.

        Args:
            server: The URI of the server.
            runner: Runs the creation of the schema.
            is_ours: Nobody else uses the server: then other databases that a test writes to are dropped, too.
        """
        self._name = f"datalayer_{uuid.uuid4().hex[:12]}"
        self.uri = _with_database(server, self._name)
        self._runner, self._is_ours = runner, is_ours
        self._client: MongoClient[dict[str, Any]] = MongoClient(server)
        self._database = self._client[self._name]
        self._ready: set[type[Database]] = set()
        # The class whose validator and indexes a collection has.
        self._shapes: dict[str, type[Document]] = {}
        self._open: set[type[Database]] = set()

    def close(self) -> None:
        """Drop the database."""
        self._client.drop_database(self._name)
        self._client.close()

    @contextmanager
    def opened(self, kind: type[D], clock: Clock) -> Generator[D]:
        """Open an empty database of this kind for one test, in any event loop."""
        # Not at the end of the previous test: operations that it left running may write later. Databases that this test
        # already has open were emptied when they were opened.
        self._clear([table for idle in self._ready - self._open for table in _tables(idle)])
        self._prepare(kind)
        watch = _Watch(self._name, set(_tables(kind)))
        listeners = [CommandLog(), watch]
        # Polling saves a connection; a test's client does not live long enough to need faster updates.
        client = AsyncMongoClient[dict[str, Any]](self.uri, event_listeners=listeners, serverMonitoringMode="poll")
        watch.client = client
        database = client[self._name]
        # Beanie was initialized when the schema was created.
        bind(database, kind.documents)
        self._open.add(kind)
        try:
            yield kind(database, clock)
        finally:
            self._open.remove(kind)
            unbind(database, kind.documents)
            watch.close()
            self._drop(watch.changed)

    def _prepare(self, kind: type[Database]) -> None:
        """Make the schema, or change it where another product has the collections in another form."""
        shaped = {document.Settings.name: document for document in kind.documents}
        others = [name for name, document in shaped.items() if not _serves(self._shapes.get(name, document), document)]
        if kind not in self._ready or others:
            self._runner.run(_make(kind, self.uri, apply_first=bool(others)))
            self._ready.add(kind)
            for name, document in shaped.items():
                if name in others or name not in self._shapes:
                    self._shapes[name] = document

    def _drop(self, changed: set[str]) -> None:
        """Drop the databases in which something other than documents of the collections has changed."""
        for name in changed:
            if name == self._name:
                self._ready.clear()
                self._shapes.clear()
            if self._is_ours or name == self._name:
                self._client.drop_database(name)

    def _clear(self, tables: list[str]) -> None:
        """Remove all documents, whoever wrote them. One query finds the collections that have any."""
        if not tables:
            return
        first, *others = [[{"$limit": 1}, {"$project": {"_id": {"$literal": table}}}] for table in tables]
        unions = [
            {"$unionWith": {"coll": table, "pipeline": one}} for table, one in zip(tables[1:], others, strict=True)
        ]
        filled = [row["_id"] for row in self._database[tables[0]].aggregate([*first, *unions])]
        for table in filled:
            # Only the last one waits for the journal, which then contains the earlier ones too.
            concern = WriteConcern("majority" if table == filled[-1] else 1)
            self._database.get_collection(table, write_concern=concern).delete_many({})


class _Watch(CommandListener):
    """Closes a test's client in the loop that used it, and tracks which other changes the client makes.

    Attributes:
        client: The client.
        changed: The databases in which it wrote to undeclared collections, or changed the schema.
    """

    client: AsyncMongoClient[dict[str, Any]]

    def __init__(self, database: str, tables: set[str]) -> None:
        self.changed: set[str] = set()
        self._tables = {f"{database}.{table}" for table in tables}
        self._closing: asyncio.Task[None] | None = None

    def started(self, event: CommandStartedEvent) -> None:
        """Inspect a command that is being sent."""
        if self._closing is None:
            # In its own context: the first command may be part of a transaction with a deadline.
            closing = self._close_with_the_loop()
            self._closing = asyncio.get_running_loop().create_task(closing, context=Context())
        name, about = event.command_name, str(event.command.get(event.command_name))
        namespace = about if name == "renameCollection" else f"{event.database_name}.{about}"
        database = namespace.partition(".")[0]
        is_change = name in _DEFINITIONS or _replaces_a_collection(event)
        if (is_change or (name in _WRITES and namespace not in self._tables)) and database not in _OF_THE_SERVER:
            self.changed.add(database)

    def succeeded(self, event: CommandSucceededEvent) -> None:
        """Do nothing."""

    def failed(self, event: CommandFailedEvent) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Close the client. If its loop has ended, the client is already closed."""
        if self._closing is not None and not self._closing.get_loop().is_closed():
            self._closing.cancel()
            self._closing.get_loop().run_until_complete(asyncio.wait([self._closing]))

    async def _close_with_the_loop(self) -> None:
        """Close the client at the end of the loop, which cancels the remaining tasks."""
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            await self.client.close()


def _tables(kind: type[Database]) -> list[str]:
    return [document.Settings.name for document in kind.documents]


def _replaces_a_collection(event: CommandStartedEvent) -> bool:
    return event.command_name == "aggregate" and any("$out" in stage for stage in event.command["pipeline"])


def _serves(live: type[Document], document: type[Document]) -> bool:
    """Return whether a collection in the form of the one class accepts the documents of the other one."""
    return live is document or document in collection_classes(live)


async def _make(kind: type[Database], uri: str, *, apply_first: bool) -> None:
    if apply_first:
        async with AsyncMongoClient[dict[str, Any]](uri) as client:
            await apply(client.get_default_database(), kind.documents, _Silence(), drop=True)
    async with kind.connect(uri):
        pass


class _Silence:
    """Nobody is told what `apply` does."""

    def waiting(self, holder: Holder) -> None:
        """Of no interest."""

    def started(self, step: Step) -> None:
        """Of no interest."""

    def progress(self, done: int, total: int) -> None:
        """Of no interest."""

    def finished(self, step: Step, seconds: float) -> None:
        """Of no interest."""


def _with_database(uri: str, name: str) -> str:
    """Return the URI with another database name."""
    match = re.fullmatch(r"(?P<server>mongodb(?:\+srv)?://[^/?]+)(?:/(?P<path>[^?]*))?(?:\?(?P<options>.*))?", uri)
    if match is None:
        raise InvalidInputError("uri", "must begin with mongodb:// or mongodb+srv://")
    options = match["options"] or ""
    if "@" in match["server"] and "authsource=" not in options.lower():
        # The path also sets the default authentication database.
        options = f"authSource={match['path'] or 'admin'}" + (f"&{options}" if options else "")
    return f"{match['server']}/{name}" + (f"?{options}" if options else "")
