"""What was sent to the server."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pymongo.asynchronous.database import AsyncDatabase
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


async def keys_and_stages(database: AsyncDatabase[dict[str, Any]], command: dict[str, Any]) -> tuple[int, set[str]]:
    """How many index keys a command that was sent examines, and the stages of its plans."""
    unwanted = {
        "lsid",
        "$clusterTime",
        "$db",
        "$readPreference",
        "txnNumber",
        "autocommit",
        "startTransaction",
        "readConcern",
    }
    plain = {name: value for name, value in command.items() if name not in unwanted}
    explained = await database.command("explain", plain, verbosity="executionStats")
    keys: list[int] = []
    stages: set[str] = set()

    def walk(part: Any, *, counted: bool = False) -> None:
        """Keys are counted once for a plan, at its top; a `$lookup` has a plan of its own."""
        if isinstance(part, list):
            for value in part:
                walk(value, counted=counted)
        elif isinstance(part, dict):
            if "stage" in part:
                stages.add(part["stage"])
            if "totalKeysExamined" in part and not counted:
                keys.append(int(part["totalKeysExamined"]))
            for name, value in part.items():
                if name not in ("rejectedPlans", "allPlansExecution"):
                    walk(value, counted=counted or "totalKeysExamined" in part)

    walk(explained)
    return sum(keys), stages
