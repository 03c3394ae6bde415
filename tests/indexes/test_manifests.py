"""The files of `indexes/` are what the documents say, and the command does what it says."""

import json
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from pymongo import AsyncMongoClient
from pymongo.asynchronous.database import AsyncDatabase

from datalayer.documents import COMMUNITY_DOCUMENTS, STORIES_DOCUMENTS
from datalayer.engine.indexes import ORIGINAL
from indexes import writing
from indexes.__main__ import main
from indexes.serves import serves
from tests.processes import called

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
    """The exit status and output of the command."""
    status, output, errors = await called(main, *arguments)
    return status, output + errors


async def test_the_command(uri: str, client: AsyncMongoClient[dict[str, Any]]) -> None:
    """Plan, apply and check, for people and for machines; drift makes `check` fail."""
    database: AsyncDatabase[dict[str, Any]] = client[uri.rsplit("/", 1)[1].split("?", maxsplit=1)[0]]
    status, output = await run("check", "--uri", uri)
    assert (status, "posts: it is missing" in output) == (1, True)
    status, output = await run("plan", "--uri", uri)
    assert (status, "create collection posts: it is missing" in output) == (0, True)
    assert f'sh.shardCollection("{database.name}.posts", {{spaceId: 1, _id: 1}})' in output
    assert await database.list_collection_names() == []
    assert (await run("apply", "--uri", uri))[0] == 0
    status, output = await run("check", "--uri", uri)
    assert (status, output) == (0, "The schema is as declared.\n")
    await database.posts.drop_index("by_spaceId")
    await database.posts.create_index("title", name="mine")
    status, output = await run("check", "--json", "--only", "community", "--uri", uri)
    found = [(step["action"], step["collection"], step["index"]) for step in json.loads(output)["community"]]
    assert (status, found) == (1, [("build index", "posts", "by_spaceId"), ("hide index", "posts", "mine")])
    status, output = await run("apply", "--json", "--uri", uri)
    assert [step["index"] for step in json.loads(output)["community"]["done"]] == ["by_spaceId"]
    assert "mine" in await database.posts.index_information()


def test_errors_are_one_line() -> None:
    """Also where the command is a process of its own."""
    uri = "mongodb://user:secret@127.0.0.1:9/?serverSelectionTimeoutMS=100"
    done = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-m", "indexes", "plan", "--uri", uri], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert done.stderr.startswith("error: The server does not answer: 127.0.0.1:9")
    assert "secret" not in done.stderr
