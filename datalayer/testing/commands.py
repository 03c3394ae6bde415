"""What a database sends to the server."""

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
    """A command as it was sent: a round trip.

    Attributes:
        name: What it does, as the server calls it: `find`, `insert`, `commitTransaction`, ...
        collection: The collection that it is about, if it is about one.
        document: The whole command, with everything that the driver adds.
    """

    name: str
    collection: str | None
    document: Mapping[str, Any]


class CommandLog(CommandListener):
    """Lets `count_commands` see what a client sends: `AsyncMongoClient(uri, event_listeners=[CommandLog()])`."""

    def __init__(self) -> None:
        self._recordings: list[list[Command]] = []

    def started(self, event: CommandStartedEvent) -> None:
        """A command is on its way."""
        if not self._recordings:
            return
        document = dict(event.command)
        about = document.get("collection" if event.command_name == "getMore" else event.command_name)
        command = Command(event.command_name, about if isinstance(about, str) else None, document)
        for recording in self._recordings:
            recording.append(command)

    def succeeded(self, event: CommandSucceededEvent) -> None:
        """Of no interest."""

    def failed(self, event: CommandFailedEvent) -> None:
        """Of no interest."""

    @contextmanager
    def recorded(self) -> Generator[list[Command]]:
        """The commands that are sent inside the block, in their order."""
        recording: list[Command] = []
        self._recordings.append(recording)
        try:
            yield recording
        finally:
            # By identity: two blocks may have seen the same.
            self._recordings = [other for other in self._recordings if other is not recording]


@contextmanager
def count_commands(database: Database) -> Generator[list[Command]]:
    """The commands that the database's client sends inside the block, in their order; the list grows as they are sent.

    ```python
    with count_commands(community) as commands:
        await community.posts.feed(space.id)
    assert [command.name for command in commands] == ["find"]
    ```

    It costs no round trip. All that shares the client is counted; an attempt of the driver to send a command again is
    one more command.

    Raises:
        DataLayerError: The client has no `CommandLog`; one has to be given to it when it is made.
        NotSupportedInMemory: There is no server that anything would be sent to.
    """
    with command_log(database).recorded() as commands:
        yield commands


def command_log(database: Database) -> CommandLog:
    """The log of the database's client.

    Raises:
        DataLayerError: It has none.
        NotSupportedInMemory: It is no client of a server.
    """
    client = database.database.client
    if not isinstance(client, AsyncMongoClient):  # pyright: ignore[reportUnnecessaryIsInstance] - a mock is none
        raise NotSupportedInMemory("Nothing is sent to a server by a database in memory.")
    for listener in client.options.event_listeners:
        if isinstance(listener, CommandLog):
            return listener
    raise DataLayerError(
        "The client of this database was made without a CommandLog, and a client takes none later.",
        hint="AsyncMongoClient(uri, event_listeners=[datalayer.testing.CommandLog()]); "
        "what the fixtures and open_database() give has one.",
    )
