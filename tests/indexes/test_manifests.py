"""The files of `indexes/` are what the documents say, and the command does what it says."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from click.testing import CliRunner
from pymongo import AsyncMongoClient
from pymongo.asynchronous.database import AsyncDatabase

from datalayer.documents import COMMUNITY_DOCUMENTS, STORIES_DOCUMENTS
from datalayer.engine.indexes import ORIGINAL
from indexes import writing
from indexes.__main__ import commands
from indexes.serves import serves

ROOT = Path(__file__).parent.parent.parent


def test_the_files_are_up_to_date() -> None:
    """Run `python -m indexes write` and review what it changed."""
    for path, text in writing.files().items():
        assert path.read_text() == text, f"{path.name} is outdated: python -m indexes write"
    names = {document.Settings.name for document in COMMUNITY_DOCUMENTS + STORIES_DOCUMENTS}
    assert {path.stem for path in writing.FOLDER.glob("*.json")} == names


def test_every_additional_index_serves_a_method() -> None:
    """Only the original schema's may be there for their own sake."""
    served = serves()
    idle = [
        f"{document.Settings.name}.{index.name}"
        for document in COMMUNITY_DOCUMENTS + STORIES_DOCUMENTS
        for index in document.Settings.indexes
        if index.why != ORIGINAL and index.name not in served.get(document.Settings.name, {})
    ]
    assert idle == []


def test_a_changed_schema_changes_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """`write` writes what is different, and removes what belongs to nothing."""
    monkeypatch.setattr(writing, "FOLDER", tmp_path)
    monkeypatch.setattr(writing, "render", dict)
    assert len(writing.write()) == 28
    assert writing.write() == []
    (tmp_path / "posts.json").write_text("{}")
    (tmp_path / "gone.json").write_text("{}")
    assert {path.name for path in writing.write()} == {"posts.json", "gone.json"}
    assert json.loads((tmp_path / "posts.json").read_text())["collection"] == "posts"


@pytest.fixture
async def uri(client: AsyncMongoClient[dict[str, Any]], server_uri: str) -> AsyncIterator[str]:
    """A database of the test's own."""
    name = f"manifests_{uuid4().hex[:8]}"
    yield server_uri.replace("/?", f"/{name}?")
    await client.drop_database(name)


async def run(*arguments: str) -> tuple[int, str]:
    """The exit status and output of `python -m indexes`."""
    done = await asyncio.to_thread(CliRunner().invoke, commands, arguments)
    return done.exit_code, done.output


async def test_the_command(uri: str, client: AsyncMongoClient[dict[str, Any]]) -> None:
    """It is the library's `datalayer schema`, with what is particular to a checkout beside it."""
    database: AsyncDatabase[dict[str, Any]] = client[uri.rsplit("/", 1)[1].split("?", maxsplit=1)[0]]
    status, output = await run("check", "--uri", uri)
    assert (status, "posts: it is missing" in output) == (1, True)
    assert (await run("apply", "--uri", uri))[0] == 0
    await database.posts.drop_index("by_spaceId")
    await database.posts.create_index("title", name="mine")
    status, output = await run("check", "--json", "--only", "community", "--uri", uri)
    found = [(step["action"], step["collection"], step["index"]) for step in json.loads(output)["community"]]
    assert (status, found) == (1, [("build index", "posts", "by_spaceId"), ("hide index", "posts", "mine")])
    status, output = await run("apply", "--json", "--uri", uri)
    assert [step["index"] for step in json.loads(output)["community"]["done"]] == ["by_spaceId"]
    assert "mine" in await database.posts.index_information()
    assert (await run("plan", "--misspelt"))[0] == 3


@pytest.mark.thorough
async def test_it_runs_as_a_module() -> None:
    arguments = ("-m", "indexes", "check", "--uri", "mongodb://127.0.0.1:9/?serverSelectionTimeoutMS=50")
    process = await asyncio.create_subprocess_exec(sys.executable, *arguments, cwd=ROOT, stderr=asyncio.subprocess.PIPE)
    _, errors = await process.communicate()
    assert (process.returncode, errors.count(b"\n"), errors[:7]) == (3, 1, b"error: ")
