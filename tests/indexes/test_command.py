"""`datalayer schema`: what it prints, how it ends, and who waits for whom."""

import asyncio
import json
import os
import signal
import sys
from typing import Any

import pytest
from bson import ObjectId
from click.testing import CliRunner
from pymongo import AsyncMongoClient
from pymongo.asynchronous.database import AsyncDatabase

from datalayer import Community, Stories
from datalayer.cli import cli
from datalayer.schema import lock
from datalayer.schema.sharding import is_sharded_cluster

Database = AsyncDatabase[dict[str, Any]]

AS_DECLARED, DRIFT, BLOCKED, COULD_NOT_LOOK = range(4)


@pytest.fixture
def uri(empty: Database, server_uri: str) -> str:
    """Of a database of the test's own."""
    return server_uri.replace("/?", f"/{empty.name}?")


async def run(*arguments: str) -> tuple[int, str, str]:
    """The command's exit status, output and errors."""
    done = await asyncio.to_thread(CliRunner(env={"MONGODB_URI": None}).invoke, cli, ["schema", *arguments])
    return done.exit_code, done.stdout, done.stderr


async def waiting(*arguments: str) -> asyncio.subprocess.Process:
    """The command in a process, which waits for the lock."""
    # A suite that a shell runs in the background ignores it, and so would the process.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "datalayer.cli", "schema", *arguments),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
    finally:
        signal.signal(signal.SIGINT, before)
    assert process.stderr is not None
    assert b"waiting for another process that is changing the schema" in await process.stderr.readline()
    return process


async def test_a_deployment(empty: Database, uri: str) -> None:
    """Plan, rehearse, apply, check: by their exit codes alone a script knows what came of it."""
    community = ("--only", "community", "--uri", uri)
    assert (await run("check", *community))[0] == DRIFT
    status, output, _ = await run("plan", *community)
    assert (status, "create collection posts: it is missing" in output) == (AS_DECLARED, True)
    assert "sh.shardCollection" not in output
    status, output, _ = await run("apply", "--dry-run", *community)
    assert (status, f"{empty.name}: would create collection posts: it is missing" in output) == (AS_DECLARED, True)
    assert await empty.list_collection_names() == []
    status, output, _ = await run("apply", *community)
    assert (status, f"{empty.name}: create collection posts" in output) == (AS_DECLARED, True)
    assert await run("apply", *community) == (AS_DECLARED, f"{empty.name}: as declared, nothing to do\n", "")
    assert await run("check", *community) == (AS_DECLARED, "The schema is as declared.\n", "")


async def test_apply_ends_well_only_where_an_application_starts(empty: Database, uri: str) -> None:
    """What is left and not required is listed; what is required makes a difference, in a rehearsal too."""
    async with Community.over(empty):
        pass
    await empty.users.create_index("bio", name="mine")
    for dry_run in (["--dry-run"], []):
        status, output, _ = await run("apply", *dry_run, "--only", "community", "--uri", uri)
        assert (status, "left: hide index users.mine" in output) == (AS_DECLARED, True)
    async with Community.over(empty, schema="verify"):
        pass
    await empty.posts.drop_index("by_spaceId")
    await empty.posts.create_index("title", name="by_spaceId")
    for dry_run in (["--dry-run"], []):
        status, output, _ = await run("apply", *dry_run, "--only", "community", "--uri", uri)
        assert (status, "an application of this release cannot start" in output) == (DRIFT, True)
    assert (await run("apply", "--dry-run", "--drop", "--only", "community", "--uri", uri))[0] == AS_DECLARED
    assert (await run("apply", "--drop", "--only", "community", "--uri", uri))[0] == AS_DECLARED


async def test_what_is_blocked(empty: Database, uri: str) -> None:
    """Duplicates under a unique index: `plan` and `apply` say so, and the rest is done."""
    await empty.gamificationConfig.insert_many([{"action": "post", "pointValue": 1} for _ in range(2)])
    arguments = ("--only", "community", "--uri", uri)
    status, output, _ = await run("plan", *arguments)
    assert (status, "blocked: gamificationConfig has documents with equal keys" in output) == (BLOCKED, True)
    status, output, _ = await run("apply", "--json", *arguments)
    outcome = json.loads(output)["community"]
    assert (status, outcome["ready"], [step["index"] for step in outcome["blocked"]]) == (BLOCKED, False, ["by_action"])
    assert "users" in await empty.list_collection_names()


@pytest.mark.parametrize("command", ["plan", "check", "apply"])
@pytest.mark.share(3)
async def test_errors_for_people_and_for_machines(command: str) -> None:
    """Neither drift nor a blockade: it could not look; without the password."""
    uri = "mongodb://user:secret@127.0.0.1:9/?serverSelectionTimeoutMS=50"
    status, output, errors = await run(command, "--uri", uri)
    assert (status, output, errors.count("\n")) == (COULD_NOT_LOOK, "", 1)
    assert errors.startswith("error: The server is not available: 127.0.0.1:9")
    status, output, quiet = await run(command, "--json", "--uri", uri)
    assert (status, quiet, json.loads(output)["error"]["code"]) == (COULD_NOT_LOOK, "", "unavailable")
    assert "secret" not in output + errors
    status, output, _ = await run(command, "--json")
    assert (status, json.loads(output)["error"]["code"]) == (COULD_NOT_LOOK, "server_not_found")
    assert json.loads(output)["error"]["hint"].startswith("Set MONGODB_URI")
    assert (await run(command, "--misspelt"))[0] == COULD_NOT_LOOK


async def test_an_error_in_the_middle_keeps_what_was_done(
    empty: Database, uri: str, client: AsyncMongoClient[dict[str, Any]]
) -> None:
    """The first product is there, the second one met an error: both are told."""
    point = {
        "configureFailPoint": "failCommand",
        "mode": "alwaysOn",
        "data": {"failCommands": ["create"], "namespace": f"{empty.name}.chapters", "errorCode": 8000},
    }
    await client.admin.command(point)
    try:
        status, output, _ = await run("apply", "--json", "--uri", uri)
    finally:
        await client.admin.command("configureFailPoint", "failCommand", mode="off")
    found = json.loads(output)
    assert (status, found["community"]["ready"], "stories" in found) == (COULD_NOT_LOOK, True, False)
    assert found["error"]["code"] == "data_layer_error"
    assert (await run("apply", "--uri", uri))[0] == AS_DECLARED


async def test_a_product_that_is_not_used(empty: Database, uri: str) -> None:
    """Both are asked for; where nothing of one is there, the command says how to leave it out."""
    async with Community.over(empty):
        pass
    status, output, _ = await run("check", "--uri", uri)
    assert (status, output.splitlines()[-1]) == (
        DRIFT,
        "stories: none of its collections exists; to leave it out, use --only community",
    )
    assert (await run("apply", "--only", "community", "--uri", uri))[0] == AS_DECLARED
    assert "chapters" not in await empty.list_collection_names()
    async with Stories.over(empty):
        pass
    assert await run("check", "--uri", uri) == (AS_DECLARED, "The schema is as declared.\n", "")


async def test_who_holds_the_lock(empty: Database, uri: str) -> None:
    """It is waited for, for as long as asked; the message says who it is, and since when. A rehearsal needs none."""
    arguments = ("--only", "community", "--uri", uri)
    async with lock.schema_lock(empty):
        status, output, errors = await run("apply", "--lock-timeout", "0", *arguments)
        assert (status, output) == (COULD_NOT_LOOK, "")
        holder = f"{os.uname().nodename}, process {os.getpid()}, since 20"
        assert f"Another process is changing the schema: {holder}" in errors
        status, output, _ = await run("apply", "--lock-timeout", "0", "--json", *arguments)
        assert (status, json.loads(output)["error"]["code"]) == (COULD_NOT_LOOK, "schema_locked")
        assert (await run("apply", "--dry-run", "--lock-timeout", "0", *arguments))[0] == AS_DECLARED
        process = await waiting("apply", *arguments)
    await process.communicate()
    assert process.returncode == AS_DECLARED


async def test_an_interrupted_run_gives_the_lock_back(empty: Database, uri: str) -> None:
    """At once, so the next one does not wait for the lease; and it is no drift."""
    async with lock.schema_lock(empty):
        process = await waiting("apply", "--uri", uri)
        process.send_signal(signal.SIGINT)
        _, errors = await process.communicate()
        assert (process.returncode, b"run the command again" in errors) == (130, True)
    assert await empty[lock.COLLECTION].count_documents({}) == 0


async def test_only_a_router_is_told_how_to_shard() -> None:
    """On a replica set the commands would be noise."""

    class Server:
        def __init__(self, hello: dict[str, Any]) -> None:
            self.hello = hello

        async def command(self, _name: str) -> dict[str, Any]:
            return self.hello

    assert await is_sharded_cluster(Server({"msg": "isdbgrid"}))  # type: ignore[arg-type]
    assert not await is_sharded_cluster(Server({"setName": "rs0", "_id": ObjectId()}))  # type: ignore[arg-type]
