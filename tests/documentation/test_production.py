"""The guide to production, run: its role, its users and its URI on a server that asks for users."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
from click.testing import CliRunner
from pymongo import AsyncMongoClient

from datalayer import Community
from datalayer.cli import cli
from datalayer.errors import AuthenticationError, PermissionDeniedError
from tests.documentation.markdown import ROOT, blocks
from tests.server.guarded import ROOT as ADMINISTRATOR
from tests.server.guarded import guarded_server

SHELL = "\n".join(block.text for block in blocks(ROOT / "docs/how-to/production.md") if block.language == "sh")


def calls() -> list[dict[str, Any]]:
    """The calls of mongosh as the commands that they send: first the role, then the users."""
    found: list[dict[str, Any]] = []
    for name, argument in re.findall(r"db\.(create\w+)\((\{.*?\})\);\n", SHELL, flags=re.DOTALL):
        quoted = re.sub(r"(\w+):", r'"\1":', argument.replace("passwordPrompt()", '"secret"'))
        document = json.loads(quoted)
        found.append({name: document.pop("role", None) or document.pop("user"), **document})
    return found


def guided(address: str) -> str:
    """The guide's URI, at this address."""
    (uri,) = re.findall(r"MONGODB_URI='(.*)'", SHELL)
    return uri.replace("db1,db2,db3", address)


@pytest.fixture(scope="module")
async def _address(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """Of a server with the guide's role and users."""
    async with guarded_server(tmp_path_factory.mktemp("production")) as address:
        async with AsyncMongoClient(f"mongodb://{ADMINISTRATOR}@{address}/?directConnection=true") as client:
            for call in calls():
                await client.admin.command(call)
        yield address


@pytest.fixture
async def address(_address: str) -> str:
    """The same, with an empty database."""
    async with AsyncMongoClient(f"mongodb://{ADMINISTRATOR}@{_address}/?directConnection=true") as client:
        await client.drop_database("opentribe")
    return _address


async def test_the_guide_to_production(address: str) -> None:
    """The one user deploys the schema; the other one works with it, and cannot change it."""
    assert [next(iter(call)) for call in calls()] == ["createRole", "createUser", "createUser"]
    app = guided(address)
    with pytest.raises(PermissionDeniedError, match="action createIndex"):
        async with Community.connect(app):
            pass
    deploy = app.replace("app:", "deploy:")
    done = await asyncio.to_thread(CliRunner().invoke, cli, ["schema", "apply", "--only", "community", "--uri", deploy])
    assert done.exit_code == 0
    async with Community.connect(app, schema="verify") as community:
        ada = await community.users.create(name="Ada")
        space = await community.spaces.create(name="General")
        post = await community.posts.create(space.id, ada.id, content="Hello!", content_html="<p>Hello!</p>")
        assert (await community.likes.like(ada.id, "post", post.id)).like_count == 1
        await community.users.delete(ada.id)
        validator: dict[str, Any] = {"collMod": "users", "validator": {}}
        for change in ({"dropIndexes": "users", "index": "by_role"}, {"drop": "users"}, validator):
            with pytest.raises(Exception, match="not authorized"):
                await community.database.command(change)


async def test_the_user_for_deployments_may_do_every_step(address: str) -> None:
    """Set validators, replace indexes that differ, hide and drop those that nobody declares."""
    deploy = guided(address).replace("app:", "deploy:")
    async with Community.connect(deploy):
        pass
    async with AsyncMongoClient(deploy) as client:
        database = client.get_default_database()
        await database.command("collMod", "users", validator={})
        await database.users.drop_index("by_role")
        await database.users.create_index("role", name="by_role")
        await database.users.create_index("bio", name="mine")
    for _ in range(2):
        arguments = ["schema", "apply", "--drop", "--only", "community", "--uri", deploy]
        done = await asyncio.to_thread(CliRunner().invoke, cli, arguments)
        assert done.exit_code == 0, done.output
    done = await asyncio.to_thread(CliRunner().invoke, cli, ["schema", "check", "--only", "community", "--uri", deploy])
    assert (done.exit_code, done.output) == (0, "The schema is as declared.\n")


async def test_without_its_auth_source_the_uri_lets_nobody_in(address: str) -> None:
    """As the guide says."""
    with pytest.raises(AuthenticationError, match="the database opentribe has no such user"):
        async with Community.connect(guided(address).replace("&authSource=admin", "")):
            pass
