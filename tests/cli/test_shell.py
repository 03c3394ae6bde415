"""`datalayer shell`: code on the open databases, from a pipe and on a terminal."""

import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from pymongo import AsyncMongoClient
from pymongo.asynchronous.database import AsyncDatabase

from datalayer import Community
from tests.cli.conftest import Called, Terminal, uri_of

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
            f"datalayer.engine.errors.NotFoundError: The User with the id {'0' * 24} does not exist, or is deleted.",
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
    assert str(done.exception) == (
        "The database has no collection of Community or Stories. Create them with `datalayer schema apply`."
    )
    assert await database.list_collection_names() == []


async def test_a_schema_that_lacks_something_is_left_alone(called: Called, empty: tuple[AsyncDatabase, str]) -> None:
    """A look at a database in production builds no index."""
    database, uri = empty
    async with Community.over(database):
        await database["posts"].drop_index("by_spaceId")
    done = await called("shell", "-c", "pass", "--uri", uri)
    assert done.exit_code == 1
    assert "posts.by_spaceId: it is missing" in str(done.exception)
    assert "by_spaceId" not in await database["posts"].index_information()


class Prompt:
    """A shell on a terminal, at its prompt."""

    def __init__(self, terminal: Terminal) -> None:
        self.terminal = terminal
        self.banner = terminal.until(">>> ")

    def __call__(self, line: str) -> str:
        """What a line prints."""
        self.terminal.type(f"{line}\n")
        return self.terminal.until(">>> ").removeprefix(f"{line}\n").removesuffix(">>> ")


@pytest.fixture
def prompt(community: Community, server_uri: str) -> Iterator[Prompt]:
    """A shell on the database of `community`."""
    with Terminal("shell", MONGODB_URI=uri_of(community, server_uri), TERM="dumb") as terminal:
        yield Prompt(terminal)


def test_a_session_on_a_terminal(community: Community, prompt: Prompt) -> None:
    """Values are shown, names stay, an error does not end it, and Ctrl-D does."""
    assert f"community ({community.database.name})" in prompt.banner
    assert prompt("user = await community.users.create(name='Ada')") == ""
    assert prompt("(await community.users.get(user.id)).name") == "'Ada'\n"
    failed = prompt("await community.users.get('ada')").splitlines()
    assert '  File "<console>", line 1, in <module>' in failed
    assert failed[-1].startswith("datalayer.engine.errors.InvalidInputError: id: must be")
    assert prompt("asyncio.get_running_loop().is_running()") == "True\n"
    assert "SyntaxError" in prompt("1 +")
    assert prompt("user.name") == "'Ada'\n"
    prompt.terminal.type("\x04")
    prompt.terminal.rest()
    assert prompt.terminal.process.wait(10) == 0


def test_an_interrupted_await_does_not_end_it(prompt: Prompt) -> None:
    """The work is cancelled, and the database is still open. At the prompt Ctrl-C drops the line."""
    terminal = prompt.terminal
    assert prompt("work = asyncio.create_task(asyncio.sleep(600))") == ""
    terminal.type("print('be' + 'gun'); await work\n")
    terminal.until("begun\r\n")
    terminal.interrupt()
    assert "KeyboardInterrupt" in terminal.until(">>> ")
    assert prompt("work.cancelled(), await community.users.find(ids.UserId(ObjectId()))") == "(True, None)\n"
    terminal.type("half a li")
    terminal.until("half a li")
    terminal.interrupt()
    assert "KeyboardInterrupt" in terminal.until(">>> ")
    terminal.type("exit(4)\n")
    assert terminal.process.wait(10) == 4


@pytest.mark.thorough
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
