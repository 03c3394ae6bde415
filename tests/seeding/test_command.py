"""`python -m seed`, as it is called."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest
from pymongo import AsyncMongoClient

from datalayer.engine.ids import new_object_id
from seed.__main__ import main

ROOT = Path(__file__).parents[2]


def seed(*arguments: str, folder: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if name != "MONGODB_URI"}
    return subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-m", "seed", *arguments],
        cwd=folder,
        env=clean | {"PYTHONPATH": str(ROOT)} | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def at(uri: str, name: str) -> str:
    return uri.replace("/?", f"/{name}?")


async def test_it_prints_plain_lines_a_summary_a_feed_and_a_story(
    server_uri: str, seed_client: AsyncMongoClient
) -> None:
    done = seed("--uri", at(server_uri, "seedcommand"))
    assert (done.returncode, done.stderr) == (0, "")
    assert "\x1b" not in done.stdout
    assert any(line.split()[:2] == ["posts", "300"] and line.endswith(" s") for line in done.stdout.splitlines())
    assert "27 collections of seedcommand" in done.stdout
    assert "The feed of “" in done.stdout
    assert "The story “" in done.stdout
    await seed_client.drop_database("seedcommand")


async def test_foreign_data_is_one_line_of_error(server_uri: str, seed_client: AsyncMongoClient) -> None:
    level = {"_id": new_object_id(), "name": "Mine", "threshold": 0, "order": 1}
    await seed_client.seedforeign.levels.insert_one(level)
    refused = seed("small", MONGODB_URI=at(server_uri, "seedforeign"))
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.startswith("error: seedforeign.levels holds documents")
    assert refused.stderr.count("\n") == 1
    await seed_client.drop_database("seedforeign")


def test_without_a_uri_the_data_is_kept_in_a_server_of_its_own(tmp_path: Path) -> None:
    first = seed(folder=tmp_path)
    assert (first.returncode, first.stderr) == (0, "")
    assert "of community and stories" in first.stdout
    assert (tmp_path / ".data").is_dir()
    assert f"kept in {Path('.data')}/" in first.stdout


async def test_nobody_there_is_one_line_of_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["seed", "--uri", "mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=100"])
    with pytest.raises(SystemExit) as ended:
        # It runs an event loop of its own.
        await asyncio.to_thread(main)
    output = capsys.readouterr()
    assert (ended.value.code, output.out) == (1, "")
    assert output.err.startswith("error: ")
    assert output.err.count("\n") == 1
