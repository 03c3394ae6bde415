"""An application's own modules do not get in the way of the library, whatever they are called."""

import os
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import datalayer

OURS = ("benchmarks", "examples", "indexes", "seed", "tests", "docs")
"""The folders of the repository that the wheel does not ship."""

APPLICATION = """
import asyncio
import sys

import datalayer.cli.schema
import datalayer.seeding
from datalayer import Community


async def main() -> None:
    async with Community.connect(sys.argv[1]) as community:
        user = await community.users.create(name="Ada")
        assert (await community.users.get(user.id)).name == "Ada"


asyncio.run(main())
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An application in a folder whose modules bear the names of all of ours, and fail when they are imported."""
    names = [*OURS, *(module.name for module in pkgutil.iter_modules(datalayer.__path__))]
    for name in names:
        (tmp_path / f"{name}.py").write_text("raise ImportError(__name__)")
    (tmp_path / "application.py").write_text(APPLICATION)
    return tmp_path


def run(folder: Path, *command: str) -> None:
    """Run it in the folder, which Python looks into first."""
    environment = os.environ | {"PYTHONPATH": str(folder)}
    done = subprocess.run(  # noqa: S603 - our own commands
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_neighbours_are_not_imported(folder: Path, server_uri: str) -> None:
    uri = server_uri.replace("/?", "/neighbours?")
    run(folder, sys.executable, "application.py", uri)
    command = Path(sys.executable).with_name("datalayer")
    run(folder, str(command), "schema", "check", "--only", "community", "--uri", uri)
