"""`python -m seed`, as it is called."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from pymongo import AsyncMongoClient

from datalayer.engine.ids import new_object_id
from seed.__main__ import main
from seed.summary import counted
from tests.processes import called

ROOT = Path(__file__).parents[2]


def at(uri: str, name: str) -> str:
    return uri.replace("/?", f"/{name}?")


async def test_it_prints_plain_lines_a_summary_a_feed_and_a_story(
    server_uri: str, seed_client: AsyncMongoClient
) -> None:
    status, output, errors = await called(main, "--uri", at(server_uri, "seedcommand"))
    assert (status, errors) == (0, "")
    assert "\x1b" not in output
    assert any(line.split()[:2] == ["posts", "300"] and line.endswith(" s") for line in output.splitlines())
    assert "27 collections of seedcommand in" in output
    # Each number once.
    assert len([line for line in output.splitlines() if line.split()[:1] == ["posts"]]) == 1
    assert "The feed of “" in output
    assert "The story “" in output
    status, output, errors = await called(main, "--uri", at(server_uri, "seedcommand"))
    assert (status, errors) == (0, "")
    first = output.splitlines()[0]
    assert re.fullmatch(
        r"This world is there already: [\d,]+ documents in 27 collections of seedcommand\. Nothing was written\.", first
    )
    assert "Wrote" not in output
    await seed_client.drop_database("seedcommand")


def test_one_has_no_plural() -> None:
    assert [counted(number, "like") for number in (0, 1, 2, 1_000)] == ["0 likes", "1 like", "2 likes", "1,000 likes"]


async def test_foreign_data_is_one_line_of_error(
    server_uri: str, seed_client: AsyncMongoClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    level = {"_id": new_object_id(), "name": "Mine", "threshold": 0, "order": 1}
    await seed_client.seedforeign.levels.insert_one(level)
    monkeypatch.setenv("MONGODB_URI", at(server_uri, "seedforeign"))
    status, output, errors = await called(main, "small")
    assert (status, output) == (1, "")
    assert errors.startswith("error: seedforeign.levels contains documents")
    assert errors.count("\n") == 1
    await seed_client.drop_database("seedforeign")


@pytest.mark.thorough
def test_without_a_uri_the_data_is_kept_in_a_server_of_its_own(tmp_path: Path) -> None:
    first = subprocess.run(
        [sys.executable, "-m", "seed"],
        cwd=tmp_path,
        env={name: value for name, value in os.environ.items() if name != "MONGODB_URI"} | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (first.returncode, first.stderr) == (0, "")
    assert "of community and stories" in first.stdout
    assert (tmp_path / ".data").is_dir()
    assert first.stdout.startswith("Starting a MongoDB server")
    assert f"kept in {Path('.data')}/" in first.stdout
    # The last line is a command that works.
    looked = subprocess.run(  # noqa: S602 - a shell is where it is typed
        first.stdout.splitlines()[-1],
        shell=True,
        cwd=tmp_path,
        input="print(len((await community.spaces.list())) > 0)",
        capture_output=True,
        text=True,
        check=False,
    )
    assert (looked.returncode, looked.stdout, looked.stderr) == (0, "True\n", "")


async def test_nobody_there_is_one_line_of_error() -> None:
    status, output, errors = await called(main, "--uri", "mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=100")
    assert (status, output) == (1, "")
    assert errors.startswith("error: ")
    assert errors.count("\n") == 1
