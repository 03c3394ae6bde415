"""`datalayer admin`: somebody becomes an admin, once."""

import asyncio
import sys
from pathlib import Path

import pytest
from bson import ObjectId

from datalayer import Community
from datalayer.cli import main
from tests.cli.conftest import Called
from tests.processes import called as called_main


async def admins(community: Community) -> list[str | None]:
    return [user.name for user in (await community.users.by_role("admin")).items]


async def test_a_name_is_created_once(community: Community, called: Called) -> None:
    """The second call finds the admin of that name; the membership is there too."""
    first, second = await called("admin", "Ada"), await called("admin", "Ada")
    assert (first.exit_code, second.exit_code) == (0, 0), first.output
    (ada,) = (await community.users.directory()).items
    assert first.output == f"Ada is now an admin (id {ada.id}).\n"
    assert second.output == f"Ada is already an admin (id {ada.id}).\n"
    assert (ada.name, ada.role) == ("Ada", "admin")
    assert await community.memberships.for_user(ada.id) is not None


async def test_an_account_is_created_or_promoted(community: Community, called: Called) -> None:
    """The name is for a user who is created; one who exists keeps theirs."""
    await community.users.ensure("auth|ada", name="Ada")
    for arguments in (["Lady", "--auth-user-id", "auth|ada"], ["Ben", "--auth-user-id", "auth|ben"]):
        done = await called("admin", *arguments)
        assert done.exit_code == 0, done.output
    assert sorted(await admins(community)) == ["Ada", "Ben"]
    assert len((await community.users.directory()).items) == 2


async def test_an_account_without_a_name_is_called_by_its_id(called: Called) -> None:
    assert (await called("admin", "--auth-user-id", "auth|eve")).output.startswith("auth|eve is now an admin (id ")


async def test_processes_at_the_same_time_create_one_account(community: Community, called: Called) -> None:
    """As when every container of a deployment runs the command."""
    command = [sys.executable, "-m", "datalayer.cli", "admin", "Ada", "--auth-user-id", "auth|ada", "--uri", called.uri]
    processes = [await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE) for _ in range(2)]
    await asyncio.gather(*(process.communicate() for process in processes))
    assert [process.returncode for process in processes] == [0, 0]
    assert await admins(community) == ["Ada"]


async def test_a_user_who_exists_is_promoted(community: Community, called: Called) -> None:
    user = await community.users.create(name="Ada")
    assert (await called("admin", "--user-id", str(user.id))).exit_code == 0
    assert (await community.users.get(user.id)).role == "admin"


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["Ada", "--user-id", "0" * 24],
        ["--auth-user-id", "auth|ada", "--user-id", "0" * 24],
        ["Ada", "--embedded", "--uri", "mongodb://127.0.0.1"],
    ],
)
async def test_arguments_that_contradict_are_refused(
    community: Community, called: Called, arguments: list[str]
) -> None:
    done = await called("admin", *arguments)
    assert done.exit_code == 2
    assert done.stderr.startswith("Usage: ")
    assert (await community.users.directory()).items == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["  "], "name: must not be blank"),
        (["a" * 101], "name: must have at most 100 characters"),
        (["--user-id", "ada"], "user-id: must be an id: 24 hexadecimal digits"),
        (["--user-id", str(ObjectId())], "The User with the id "),
    ],
)
async def test_nonsense_is_one_line(
    community: Community, called: Called, arguments: list[str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MONGODB_URI", called.uri)
    status, output, errors = await called_main(main, "admin", *arguments)
    assert (status, output) == (1, "")
    assert errors.startswith(f"error: {message}")
    assert errors.count("\n") == 1
    assert (await community.users.directory()).items == []


async def test_without_a_server_it_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing is started silently."""
    monkeypatch.delenv("MONGODB_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    status, _, errors = await called_main(main, "admin", "Ada")
    assert (status, errors.count("\n")) == (1, 1)
    assert "MONGODB_URI" in errors
    assert list(tmp_path.iterdir()) == []  # noqa: ASYNC240 - a directory of the test
