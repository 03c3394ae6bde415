"""The command as it is called: in this process, and on a terminal."""

import asyncio
import os
import pty
import select
import signal
import subprocess
import sys
from contextlib import suppress
from typing import Self

import pytest
from click.testing import CliRunner, Result

from datalayer import Community
from datalayer.cli import cli
from datalayer.database import Database


class Terminal:
    """A command on a terminal."""

    def __init__(self, *command: str, **environment: str) -> None:
        self._ours, theirs = pty.openpty()
        # A suite that runs in the background ignores SIGINT, and so would the command.
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            self.process = subprocess.Popen(  # noqa: S603 - our own command
                [sys.executable, "-m", "datalayer.cli", *command],
                stdin=theirs,
                stdout=theirs,
                stderr=theirs,
                env=os.environ | environment,
                start_new_session=True,
            )
        finally:
            signal.signal(signal.SIGINT, before)
            os.close(theirs)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._ours)

    def type(self, text: str) -> None:
        """Press keys."""
        os.write(self._ours, text.encode())

    def interrupt(self) -> None:
        """Send the signal of Ctrl-C until something is printed.

        Python does not notice a signal that comes just before it begins to wait. The pause is long, because a second
        signal means something else than the first one.
        """
        for _ in range(10):
            self.process.send_signal(signal.SIGINT)
            if select.select([self._ours], [], [], 3.0)[0]:
                return
        pytest.fail("the command does not react to an interruption")

    def until(self, mark: str) -> str:
        """What is printed up to the mark."""
        printed = ""
        while not printed.endswith(mark):
            printed += os.read(self._ours, 1).decode(errors="replace")
        return printed.replace("\r\n", "\n")

    def rest(self) -> str:
        """What is printed until the end."""
        printed = b""
        # Where the other side is closed, Linux raises an error.
        with suppress(OSError):
            while part := os.read(self._ours, 1000):
                printed += part
        return printed.decode().replace("\r\n", "\n")


class Called:
    """Calls the command with the test's database as its MONGODB_URI."""

    def __init__(self, uri: str) -> None:
        self.uri = uri

    async def __call__(self, *arguments: str, input: str | None = None) -> Result:
        """The command has an event loop of its own."""
        runner = CliRunner(env={"MONGODB_URI": self.uri})
        return await asyncio.to_thread(runner.invoke, cli, [*arguments], input=input)


@pytest.fixture
def called(community: Community, server_uri: str) -> Called:
    """On the database of `community`."""
    return Called(uri_of(community, server_uri))


def uri_of(database: Database, server_uri: str) -> str:
    """Where the database is."""
    return server_uri.replace("/?", f"/{database.database.name}?")
