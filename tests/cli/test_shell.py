"""`datalayer shell`: code on the open databases, from a pipe and on a terminal."""

import os
import pty
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Self
from uuid import uuid4

import pytest
from pymongo import AsyncMongoClient
from pymongo.asynchronous.database import AsyncDatabase

from datalayer import Community
from tests.cli.conftest import Called, uri_of

COMMAND = [sys.executable, "-m", "datalayer.cli", "shell"]


async def test_piped_code_awaits(community: Community, called: Called) -> None:
    """Also inside of blocks, and with functions of its own."""
    source = """
async def create(name):
    return await community.users.create(name=name)

for name in ("Ada", "Ben"):
    user = await create(name)
print((await community.users.get(user.id)).name)
"""
    done = await called("shell", input=source)
    assert (done.exit_code, done.output) == (0, "Ben\n")
    assert len((await community.users.directory()).items) == 2


async def test_code_can_be_an_argument(community: Community, called: Called) -> None:
    await community.users.create(name="Ada")
    done = await called("shell", "-c", "print(documents.User.__name__, len((await community.users.directory()).items))")
    assert (done.exit_code, done.output) == (0, "User 1\n")


@pytest.mark.parametrize(
    ("source", "status"), [("", 0), ("exit()", 0), ("exit(3)", 3), ("raise KeyboardInterrupt", 130)]
)
async def test_it_ends_as_the_code_says(called: Called, source: str, status: int) -> None:
    done = await called("shell", "-c", source)
    assert (done.exit_code, done.output) == (status, "")


@pytest.mark.parametrize(
    ("source", "last"),
    [
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("print(", "SyntaxError: '(' was never closed"),
        (
            "await community.users.get(ids.UserId(ObjectId('0' * 24)))",
            "datalayer.engine.errors.NotFoundError: There is no user 000000000000000000000000.",
        ),
    ],
)
async def test_an_error_is_a_traceback_of_the_code(called: Called, source: str, last: str) -> None:
    """It begins with the code, not with the command's own frames, and ends the command with 1."""
    done = await called("shell", "-c", source)
    lines = done.stderr.splitlines()
    assert (done.exit_code, done.stdout, lines[-1]) == (1, "", last)
    assert "shell.py" not in done.stderr
    if "SyntaxError" not in last:
        assert lines[:2] == ["Traceback (most recent call last):", '  File "<stdin>", line 1, in <module>']


@pytest.fixture
async def empty(client: AsyncMongoClient, server_uri: str) -> AsyncIterator[tuple[AsyncDatabase, str]]:
    """A database of the test's own, and its URI."""
    database = client[f"test_{uuid4().hex[:8]}"]
    yield database, server_uri.replace("/?", f"/{database.name}?")
    await client.drop_database(database)


async def test_only_what_is_there_is_opened(called: Called, empty: tuple[AsyncDatabase, str]) -> None:
    """An application that has no stories needs no collections for them."""
    database, uri = empty
    async with Community.over(database):
        names = await database.list_collection_names()
    done = await called("shell", "-c", "print(community, 'stories' in globals())", "--uri", uri)
    assert done.output == f"<Community '{database.name}'> False\n"
    assert sorted(await database.list_collection_names()) == sorted(names)


async def test_an_empty_database_is_refused(called: Called, empty: tuple[AsyncDatabase, str]) -> None:
    """The error says which command creates the schema, and nothing is created."""
    database, uri = empty
    done = await called("shell", "-c", "pass", "--uri", uri)
    assert done.exit_code == 1
    assert "`datalayer schema apply`" in str(done.exception)
    assert await database.list_collection_names() == []


class Terminal:
    """The command on a terminal."""

    def __init__(self, uri: str) -> None:
        self._ours, theirs = pty.openpty()
        environment = os.environ | {"MONGODB_URI": uri, "TERM": "dumb"}
        # A suite that runs in the background ignores SIGINT, and so would the command.
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            self.process = subprocess.Popen(  # noqa: S603 - our own command
                COMMAND, stdin=theirs, stdout=theirs, stderr=theirs, env=environment, start_new_session=True
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

    def until(self, mark: str) -> str:
        """What is printed up to the mark; the test's time limit is that of the process."""
        printed = ""
        while not printed.endswith(mark):
            printed += os.read(self._ours, 1).decode()
        return printed

    def rest(self) -> str:
        """What is printed until the end."""
        printed = b""
        # Where the other side is closed, Linux raises an error.
        with suppress(OSError):
            while part := os.read(self._ours, 1000):
                printed += part
        return printed.decode()

    def type(self, line: str) -> str:
        """Type a line; what is printed until the next prompt."""
        os.write(self._ours, f"{line}\n".encode())
        return self.until(">>> ").replace("\r\n", "\n").removeprefix(f"{line}\n").removesuffix(">>> ")


@pytest.fixture
def terminal(community: Community, server_uri: str) -> Iterator[Terminal]:
    """A shell at its first prompt."""
    with Terminal(uri_of(community, server_uri)) as terminal:
        banner = terminal.until(">>> ")
        assert f"community ({community.database.name})" in banner
        yield terminal


def test_a_session_on_a_terminal(terminal: Terminal) -> None:
    """Values are shown, names stay, an error does not end it, and Ctrl-D does."""
    assert terminal.type("user = await community.users.create(name='Ada')") == ""
    assert terminal.type("(await community.users.get(user.id)).name") == "'Ada'\n"
    failed = terminal.type("await community.users.get('ada')")
    assert failed.splitlines()[0:2] == ["Traceback (most recent call last):", '  File "<console>", line 1, in <module>']
    assert failed.splitlines()[-1].startswith("datalayer.engine.errors.InvalidInputError: id: must be")
    assert terminal.type("asyncio.get_running_loop().is_running()") == "True\n"
    assert "SyntaxError" in terminal.type("1 +")
    assert terminal.type("user.name") == "'Ada'\n"
    os.write(terminal._ours, b"\x04")
    terminal.rest()
    assert terminal.process.wait(10) == 0


def test_an_interrupted_await_does_not_end_it(terminal: Terminal) -> None:
    """The work is cancelled, and the database is still open. At the prompt Ctrl-C drops the line."""
    os.write(terminal._ours, b"print('begun'); await asyncio.sleep(600)\n")
    terminal.until("begun\r\n")
    terminal.process.send_signal(signal.SIGINT)
    assert "KeyboardInterrupt" in terminal.until(">>> ")
    assert terminal.type("len(asyncio.all_tasks()) < 20, await community.users.find(ids.UserId(ObjectId()))") == (
        "(True, None)\n"
    )
    os.write(terminal._ours, b"half a li")
    terminal.until("half a li")
    terminal.process.send_signal(signal.SIGINT)
    assert "KeyboardInterrupt" in terminal.until(">>> ")
    os.write(terminal._ours, b"exit(4)\n")
    assert terminal.process.wait(10) == 4


def test_a_server_of_its_own(tmp_path: Path) -> None:
    """`--embedded` creates the schema, and keeps the data for the next time."""
    for expected in ("0", "1"):
        done = subprocess.run(  # noqa: S603 - our own command
            [*COMMAND, "--embedded"],
            cwd=tmp_path,
            input="print(len((await community.users.directory()).items)); await community.users.create(name='Ada')",
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, f"{expected}\n", "")
