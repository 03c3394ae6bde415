"""Something that happens at one of the commands that a call sends."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

from pymongo import MongoClient
from pymongo.monitoring import (
    CommandFailedEvent,
    CommandListener,
    CommandStartedEvent,
    CommandSucceededEvent,
    ConnectionCheckedInEvent,
    ConnectionCheckedOutEvent,
    ConnectionPoolListener,
)

from datalayer.testing import Command
from tests.faults.proxy import Proxy

Moment = Literal["on its way", "received", "answered"]
"""When something happens to a command: before the driver sends it, when the server has it, when its answer is there."""

APP_NAME = "spoiled"
"""What the client calls itself whose commands meet faults."""

ALL = ["find", "aggregate", "insert", "update", "delete", "findAndModify", "commitTransaction", "abortTransaction"]

_WRITES = {"insert", "update", "delete", "findAndModify"}


def in_transaction(command: Command) -> bool:
    """Whether it belongs to a transaction."""
    return command.document.get("autocommit") is False


def writes(command: Command) -> bool:
    """Whether it changes documents, at once or with its transaction."""
    return command.name in _WRITES


def is_single_write(command: Command) -> bool:
    """Whether the driver sends it again where its answer is lost."""
    return writes(command) and not in_transaction(command)


def is_confirmed(command: Command) -> bool:
    """Whether its answer waits for a majority."""
    return command.name == "commitTransaction" or is_single_write(command)


@dataclass(frozen=True)
class Fault:
    """Something that goes wrong once.

    Attributes:
        data: What the server's fail point does.
        at: Which commands can meet it.
        loses_reply: The server does what it was asked for, and nobody hears of it; then the fail point is met by the
            second attempt.
    """

    name: str
    data: Mapping[str, Any]
    at: Callable[[Command], bool] = lambda _: True
    loses_reply: bool = False


LOST_REPLY = Fault("the reply lost", {}, loses_reply=True)

FAULTS = (
    LOST_REPLY,
    Fault("the reply lost, and the second attempt refused", {"errorCode": 13}, is_single_write, loses_reply=True),
    Fault("the connection closed", {"closeConnection": True}),
    Fault("a step-down", {"errorCode": 189}),
    Fault("a conflict", {"errorCode": 112, "errorLabels": ["TransientTransactionError"]}, in_transaction),
    Fault("no majority in time", {"writeConcernError": {"code": 64, "errmsg": "waiting timed out"}}, is_confirmed),
    Fault("no majority", {"writeConcernError": {"code": 100, "errmsg": "not enough members"}}, is_confirmed),
)


class Injector(CommandListener):
    """Lets something happen at a command: the one that is the nth, from 0, of what is sent inside a block."""

    def __init__(self, admin: MongoClient[dict[str, Any]], proxy: Proxy) -> None:
        self._admin, self._proxy = admin, proxy
        self._moment: Moment = "on its way"
        self._left: int | None = None
        self._action: Callable[[str], None] = _nothing

    @contextmanager
    def fault(self, fault: Fault, at: int) -> Iterator[None]:
        """The command meets the fault; only this one, and not when it is sent again."""

        def meet(command: str) -> None:
            if fault.loses_reply:
                self._proxy.lose = command
            if fault.data:
                self._fail({"skip": 1} if fault.loses_reply else {"times": 1}, failCommands=[command], **fault.data)

        with self.action(meet, at, "on its way"):
            yield

    @contextmanager
    def gone(self, at: int) -> Iterator[None]:
        """From that command on, nobody answers."""
        with self.action(lambda _: self._fail("alwaysOn", failCommands=ALL, closeConnection=True), at, "on its way"):
            yield

    @contextmanager
    def action(self, action: Callable[[str], None], at: int, moment: Moment) -> Iterator[None]:
        """The action is called with the command's name."""
        self._moment, self._left, self._action = moment, at, action
        try:
            yield
        finally:
            self._left, self._proxy.lose, self._proxy.passed = None, None, _nothing
            self.mend()

    def mend(self) -> None:
        """The server's commands fail no longer."""
        self._fail("off", failCommands=[])

    def started(self, event: CommandStartedEvent) -> None:
        """A command is on its way: the driver sends it when this returns."""
        if self._moment == "answered" or not self._is_the_one():
            return
        if self._moment == "received":
            self._proxy.passed = self._received(event.command_name)
        else:
            self._action(event.command_name)

    def succeeded(self, event: CommandSucceededEvent) -> None:
        """An answer is there."""
        if self._moment == "answered" and self._is_the_one():
            self._action(event.command_name)

    def failed(self, event: CommandFailedEvent) -> None:
        """Of no interest."""

    def _is_the_one(self) -> bool:
        if self._left is None:
            return False
        self._left -= 1
        if self._left >= 0:
            return False
        self._left = None
        return True

    def _received(self, wanted: str) -> Callable[[str], None]:
        def passed(command: str) -> None:
            if command == wanted:
                self._proxy.passed = _nothing
                self._action(command)

        return passed

    def _fail(self, mode: str | dict[str, int], **data: Any) -> None:
        # Who looks at what is left behind has another name.
        data |= {"appName": APP_NAME}
        self._admin.admin.command({"configureFailPoint": "failCommand", "mode": mode, "data": data})


def _nothing(_: str) -> None:
    """Nothing happens."""


class Connections(ConnectionPoolListener):
    """Counts the connections that are in use."""

    def __init__(self) -> None:
        self.in_use = 0

    def connection_checked_out(self, event: ConnectionCheckedOutEvent) -> None:  # noqa: ARG002
        """One more."""
        self.in_use += 1

    def connection_checked_in(self, event: ConnectionCheckedInEvent) -> None:  # noqa: ARG002
        """One less."""
        self.in_use -= 1

    def _of_no_interest(self, event: object) -> None:
        pass

    pool_created = pool_ready = pool_cleared = pool_closed = _of_no_interest
    connection_created = connection_ready = connection_closed = _of_no_interest
    connection_check_out_started = connection_check_out_failed = _of_no_interest
