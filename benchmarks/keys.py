"""Counts the index keys that the queries of a call examine."""

from collections.abc import Awaitable, Callable
from typing import Any

from pymongo.asynchronous.database import AsyncDatabase
from pymongo.monitoring import CommandFailedEvent, CommandListener, CommandStartedEvent, CommandSucceededEvent

from benchmarks.work import Row

# Fields that the driver adds for the session and the deadline, and that `explain` does not accept.
_ENVELOPE = {"lsid", "$clusterTime", "$db", "$readPreference", "readConcern", "maxTimeMS"}


class Recorder(CommandListener):
    """Keeps the queries that a client sends."""

    def __init__(self) -> None:
        self.commands: list[Row] = []

    def started(self, event: CommandStartedEvent) -> None:
        """Keep it."""
        if event.command_name in ("find", "aggregate"):
            self.commands.append({name: value for name, value in event.command.items() if name not in _ENVELOPE})

    def succeeded(self, event: CommandSucceededEvent) -> None:
        """Nothing."""

    def failed(self, event: CommandFailedEvent) -> None:
        """Nothing."""


async def keys_examined(database: AsyncDatabase[Row], recorder: Recorder, call: Callable[[], Awaitable[object]]) -> int:
    """Return the number of keys that all queries of the call examine; `recorder` listens to the client that it uses."""
    recorder.commands.clear()
    await call()
    commands = list(recorder.commands)
    plans = [await database.command("explain", command, verbosity="executionStats") for command in commands]
    return sum(_keys(plan) for plan in plans)


def _keys(explained: Row) -> int:
    if "stages" not in explained:
        return int(explained["executionStats"]["totalKeysExamined"])
    return sum(_stage_keys(stage) for stage in explained["stages"])


def _stage_keys(stage: dict[str, Any]) -> int:
    if "$cursor" in stage:
        return int(stage["$cursor"]["executionStats"]["totalKeysExamined"])
    return int(stage.get("totalKeysExamined", 0))
