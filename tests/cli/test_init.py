"""`datalayer init`: the application that it writes runs, and passes its tests."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from datalayer import Community
from datalayer.cli import cli
from tests.cli.conftest import uri_of

FILES = [".gitignore", "README.md", "app.py", "pyproject.toml", "requirements.txt", "tests/test_app.py"]


def init(folder: Path) -> tuple[int, str, str]:
    """The command's exit status, output and errors."""
    done = CliRunner().invoke(cli, ["init", str(folder)])
    return done.exit_code, done.stdout, done.stderr


def files(folder: Path) -> list[str]:
    """All that is in a folder."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def run(folder: Path, *command: str, **environment: str) -> str:
    """What a program prints in the folder."""
    done = subprocess.run(  # noqa: S603 - our own commands
        [sys.executable, *command],
        cwd=folder,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.thorough
def test_the_application_runs_and_its_tests_pass(tmp_path: Path, community: Community, server_uri: str) -> None:
    """On a given server, and its tests on one of their own; it uses the installed library."""
    folder = tmp_path / "new" / "shop"
    status, output, errors = init(folder)
    assert (status, errors) == (0, "")
    assert files(folder) == FILES
    assert "python app.py" in output
    for times in (1, 2):
        printed = run(folder, "app.py", MONGODB_URI=uri_of(community, server_uri))
        assert printed.count("Ada: Hello! (likes: 1)\n") == times
    tested = run(folder, "-m", "pytest", "-q", MONGODB_URI="")
    assert "3 passed" in tested


@pytest.mark.thorough
def test_the_program_brings_its_own_server(tmp_path: Path) -> None:
    """Without MONGODB_URI, with the data in a folder that git ignores."""
    init(tmp_path)
    assert "1. Ada: 12 points" in run(tmp_path, "app.py", MONGODB_URI="")
    assert (tmp_path / ".data").is_dir()
    assert ".data/" in (tmp_path / ".gitignore").read_text()


@pytest.mark.parametrize("name", ["file.txt", ".git/config", "app.py"])
def test_a_folder_that_is_not_empty_is_left_alone(tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    file.parent.mkdir(exist_ok=True)
    file.write_text("mine")
    status, output, errors = init(tmp_path)
    assert (status, output) == (1, "")
    assert errors == f"Error: {tmp_path} is not empty. Nothing was written: name an empty or a new folder.\n"
    assert files(tmp_path) == [name]
    assert file.read_text() == "mine"


def test_a_file_in_the_way_is_refused(tmp_path: Path) -> None:
    """In place of the folder, or of one above it."""
    (tmp_path / "file").write_text("mine")
    assert init(tmp_path / "file")[0] == 2
    status, _, errors = init(tmp_path / "file" / "shop")
    assert (status, errors.count("\n")) == (1, 1)
    assert files(tmp_path) == ["file"]


def test_an_empty_folder_will_do(tmp_path: Path) -> None:
    assert init(tmp_path)[0] == 0
    assert files(tmp_path) == FILES
