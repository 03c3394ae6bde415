"""What was sent to the server."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pymongo.monitoring import CommandFailedEvent, CommandListener, CommandStartedEvent, CommandSucceededEvent

_WRITES = {"insert", "update", "findAndModify", "bulkWrite"}


class CommandLog(CommandListener):
    """Remembers commands, and which collections were written to."""

    def __init__(self) -> None:
        self.commands: list[dict[str, Any]] = []
        self.written: set[str] = set()

    def started(self, event: CommandStartedEvent) -> None:
        """A command is on its way."""
        self.commands.append(dict(event.command))
        if event.command_name in _WRITES:
            self.written.add(str(event.command[event.command_name]))

    def succeeded(self, event: CommandSucceededEvent) -> None:
        """Of no interest."""

    def failed(self, event: CommandFailedEvent) -> None:
        """Of no interest."""

    @contextmanager
    def recorded(self) -> Iterator[list[dict[str, Any]]]:
        """Collect the commands that are sent inside the block."""
        start, commands = len(self.commands), []
        yield commands
        commands += self.commands[start:]
