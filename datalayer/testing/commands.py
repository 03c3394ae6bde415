"""Records the commands that a database sends to the server."""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from pymongo import AsyncMongoClient
from pymongo.monitoring import CommandFailedEvent, CommandListener, CommandStartedEvent, CommandSucceededEvent

from datalayer.database import Database
from datalayer.errors import DataLayerError, NotSupportedInMemory


@dataclass(frozen=True)
class Command:
    """A command as it was sent; each command is one round trip.

    Attributes:
        name: The name of the command: `find`, `insert`, `commitTransaction`, ...
        collection: The collection, if the command concerns one.
        document: The whole command, including what the driver adds.
    """

    name: str
    collection: str | None
    document: Mapping[str, Any]


class CommandLog(CommandListener):
    """Records what a client sends, for `count_commands`: `AsyncMongoClient(uri, event_listeners=[CommandLog()])`."""

    def __init__(self) -> None:
        self._recordings: list[list[Command]] = []

    def started(self, event: CommandStartedEvent) -> None:
        """Record a command that is being sent."""
        if not self._recordings:
            return
        document = dict(event.command)
        about = document.get("collection" if event.command_name == "getMore" else event.command_name)
        command = Command(event.command_name, about if isinstance(about, str) else None, document)
        for recording in self._recordings:
            recording.append(command)

    def succeeded(self, event: CommandSucceededEvent) -> None:
        """Do nothing."""

    def failed(self, event: CommandFailedEvent) -> None:
        """Do nothing."""

    @contextmanager
    def recorded(self) -> Generator[list[Command]]:
        """Yield a list of the commands that are sent inside the block, in order."""
        recording: list[Command] = []
        self._recordings.append(recording)
        try:
            yield recording
        finally:
            # Compare by identity: two blocks may have recorded equal commands.
            self._recordings = [other for other in self._recordings if other is not recording]


@contextmanager
def count_commands(database: Database) -> Generator[list[Command]]:
    """Yield a list of the commands that the database's client sends inside the block, in order.

    The list grows while the block runs.

    ```python
    with count_commands(community) as commands:
        await community.posts.feed(space.id)
    assert [command.name for command in commands] == ["find"]
    ```

    Recording costs no round trip. Commands of everything that shares the client are counted. A retry by the driver
    counts as another command.

    Raises:
        DataLayerError: The client has no `CommandLog`. Pass one when you create the client.
        NotSupportedInMemory: A database in memory sends no commands.
    """
    with command_log(database).recorded() as commands:
        yield commands


def command_log(database: Database) -> CommandLog:
    """Return the log of the database's client.

    Raises:
        DataLayerError: The client has no log.
        NotSupportedInMemory: The database is in memory.
    """
    client = database.database.client
    if not isinstance(client, AsyncMongoClient):  # pyright: ignore[reportUnnecessaryIsInstance] - a mock is not one
        raise NotSupportedInMemory("A database in memory sends no commands to a server.")
    for listener in client.options.event_listeners:
        if isinstance(listener, CommandLog):
            return listener
    raise DataLayerError(
        "The client of this database was created without a CommandLog, and none can be added later.",
        hint="Use AsyncMongoClient(uri, event_listeners=[datalayer.testing.CommandLog()]). "
        "The clients of the fixtures and of open_database() have one.",
    )
