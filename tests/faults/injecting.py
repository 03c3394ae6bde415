"""A fault at one of the commands that a call sends."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from pymongo import MongoClient
from pymongo.monitoring import CommandFailedEvent, CommandListener, CommandStartedEvent, CommandSucceededEvent

from tests.faults.proxy import Proxy

Command = Mapping[str, Any]

ALL = ["find", "aggregate", "insert", "update", "delete", "findAndModify", "commitTransaction", "abortTransaction"]

_WRITES = {"insert", "update", "delete", "findAndModify"}


def name_of(command: Command) -> str:
    """The kind of a command."""
    return next(iter(command))


def in_transaction(command: Command) -> bool:
    """Whether it belongs to a transaction."""
    return command.get("autocommit") is False


def writes(command: Command) -> bool:
    """Whether it changes documents, at once or with its transaction."""
    return name_of(command) in _WRITES


def is_confirmed(command: Command) -> bool:
    """Whether its answer waits for a majority."""
    return name_of(command) == "commitTransaction" or (writes(command) and not in_transaction(command))


@dataclass(frozen=True)
class Fault:
    """Something that goes wrong once.

    Attributes:
        data: What the server's fail point does.
        at: Which commands can meet it.
    """

    name: str
    data: Mapping[str, Any]
    at: Callable[[Command], bool] = lambda _: True


LOST_REPLY = Fault("the reply lost", {})
"""The server has done it; nobody hears of it."""

FAULTS = (
    LOST_REPLY,
    Fault("the connection closed", {"closeConnection": True}),
    Fault("a step-down", {"errorCode": 189}),
    Fault("a conflict", {"errorCode": 112, "errorLabels": ["TransientTransactionError"]}, in_transaction),
    Fault("no majority in time", {"writeConcernError": {"code": 64, "errmsg": "waiting timed out"}}, is_confirmed),
    Fault("no majority", {"writeConcernError": {"code": 100, "errmsg": "not enough members"}}, is_confirmed),
)


class Injector(CommandListener):
    """Lets a command meet a fault: the one that is the nth of what is sent inside `injected`."""

    def __init__(self, admin: MongoClient[dict[str, Any]], proxy: Proxy) -> None:
        self._admin, self._proxy = admin, proxy
        self._at: int | None = None
        self._fault = LOST_REPLY
        self._until_the_end = False
        self._hook: Callable[[], None] | None = None

    @contextmanager
    def injected(self, fault: Fault, at: int) -> Iterator[None]:
        """Once, at that command; the first is 0."""
        self._fault, self._at = fault, at
        try:
            yield
        finally:
            self._over()

    @contextmanager
    def gone(self, at: int) -> Iterator[None]:
        """From that command on, nobody answers."""
        self._until_the_end = True
        with self.injected(Fault("the server gone", {"closeConnection": True}), at):
            yield

    def started(self, event: CommandStartedEvent) -> None:
        """A command is on its way: the driver sends it when this returns."""
        if self._at is None:
            return
        self._at -= 1
        if self._at >= 0:
            return
        self._at = None
        if self._fault is LOST_REPLY:
            self._proxy.lose = event.command_name
            return
        commands = ALL if self._until_the_end else [event.command_name]
        mode = "alwaysOn" if self._until_the_end else {"times": 1}
        self._fail(mode=mode, data={"failCommands": commands, **self._fault.data})

    def succeeded(self, event: CommandSucceededEvent) -> None:
        """Of no interest."""

    def failed(self, event: CommandFailedEvent) -> None:
        """Of no interest."""

    def _over(self) -> None:
        self._at, self._until_the_end, self._proxy.lose = None, False, None
        self._fail(mode="off")

    def _fail(self, **how: Any) -> None:
        self._admin.admin.command({"configureFailPoint": "failCommand", **how})
