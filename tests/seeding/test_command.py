"""`python -m seed`, as it is called."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from pymongo import AsyncMongoClient

from datalayer.engine.ids import new_object_id
from seed.__main__ import main
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
    assert "27 collections of seedcommand" in output
    assert "The feed of “" in output
    assert "The story “" in output
    await seed_client.drop_database("seedcommand")


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
    assert f"kept in {Path('.data')}/" in first.stdout


async def test_nobody_there_is_one_line_of_error() -> None:
    status, output, errors = await called(main, "--uri", "mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=100")
    assert (status, output) == (1, "")
    assert errors.startswith("error: ")
    assert errors.count("\n") == 1
