"""`datalayer schema --product`: the commands see an extended product."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from click.testing import CliRunner
from pymongo import AsyncMongoClient

from datalayer.cli import cli
from examples.extended import App

AS_DECLARED, DRIFT, _, COULD_NOT_LOOK = range(4)

PRODUCT = ("--product", "examples.extended:App")


@pytest.fixture
async def uri(client: AsyncMongoClient[dict[str, Any]], server_uri: str) -> AsyncIterator[str]:
    """A database of the test's own."""
    name = f"extension_{uuid4().hex[:8]}"
    yield server_uri.replace("/?", f"/{name}?")
    await client.drop_database(name)


async def run(*arguments: str) -> tuple[int, str]:
    """The exit status and output of `datalayer schema`."""
    done = await asyncio.to_thread(CliRunner(env={"MONGODB_URI": None}).invoke, cli, ["schema", *arguments])
    return done.exit_code, done.output


async def test_a_deployment(uri: str) -> None:
    """From the plain product to the extended one, and back to nothing that is lost."""
    assert (await run("apply", "--only", "community", "--uri", uri))[0] == AS_DECLARED
    status, output = await run("plan", *PRODUCT, "--uri", uri)
    assert status == AS_DECLARED
    assert "build index users.x_by_timezone" in output
    assert "create collection x_webhookEvents" in output
    status, output = await run("apply", "--json", *PRODUCT, "--uri", uri)
    assert (status, json.loads(output)["App"]["ready"]) == (AS_DECLARED, True)
    assert (await run("check", *PRODUCT, "--uri", uri))[0] == AS_DECLARED
    async with App.connect(uri, schema="verify"):
        pass
    status, output = await run("check", "--only", "community", "--uri", uri)
    assert status == DRIFT
    assert "its validator allows more: xTimezone" in output
    assert "x_webhookEvents: no document declares this collection" in output
    assert (await run("apply", "--only", "community", "--uri", uri))[0] == AS_DECLARED
    assert (await run("check", *PRODUCT, "--uri", uri))[0] == AS_DECLARED


APPLICATION = """
from datalayer import Community

class App(Community):
    documents = Community.extended()
"""


async def test_modules_of_the_working_directory_are_found(
    uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `python -m` finds them."""
    (tmp_path / "an_application.py").write_text(APPLICATION)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path / "elsewhere")
    assert (await run("apply", "--product", "an_application:App", "--uri", uri))[0] == AS_DECLARED


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--product", "no_such_module:App"), "no_such_module:App: No module named 'no_such_module'"),
        (("--product", "examples.extended:Application"), "has no attribute 'Application'"),
        (("--product", "examples.extended:Member"), "examples.extended:Member is not a subclass of Community"),
        (("--product", "examples.extended"), "examples.extended"),
        ((*PRODUCT, "--only", "community"), "leave it out where --product is given"),
    ],
)
async def test_what_is_no_product(arguments: tuple[str, ...], message: str) -> None:
    """Exits with 3, and says what was wrong."""
    status, output = await run("check", "--uri", "mongodb://127.0.0.1:9", *arguments)
    assert status == COULD_NOT_LOOK
    assert message in " ".join(output.replace("│", " ").split())


async def test_manifests(tmp_path: Path) -> None:
    """A file for each collection, with the methods that its indexes serve; other files are left alone."""
    folder = tmp_path / "schema"
    assert (await run("manifests", str(folder), *PRODUCT, "--check"))[0] == DRIFT
    assert not folder.exists()
    assert (await run("manifests", str(folder), *PRODUCT))[0] == AS_DECLARED
    assert {path.stem for path in folder.iterdir()} == {document.Settings.name for document in App.documents}
    users = json.loads((folder / "users.json").read_text())
    serves = {index["name"]: index["serves"] for index in users["indexes"]}
    assert serves["x_by_timezone"] == ["members.in_timezone"]
    assert "users.by_role" in serves["by_role"]
    assert "xTimezone" in users["validator"]["$jsonSchema"]["properties"]
    assert (await run("manifests", str(folder), *PRODUCT, "--check")) == (AS_DECLARED, "")
    (folder / "users.json").write_text("{}")
    (folder / "gone.json").write_text((folder / "posts.json").read_text())
    (folder / "package.json").write_text('{"name": "mine"}')
    status, output = await run("manifests", str(folder), *PRODUCT, "--check")
    assert (status, [Path(line.split(":")[0]).name for line in output.splitlines()]) == (
        DRIFT,
        ["users.json", "gone.json"],
    )
    assert (await run("manifests", str(folder), *PRODUCT))[0] == AS_DECLARED
    assert (folder / "package.json").exists()
    assert not (folder / "gone.json").exists()
    assert (await run("manifests", str(folder), *PRODUCT, "--check"))[0] == AS_DECLARED
