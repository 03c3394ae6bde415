"""A user who may not do something is told what it takes, and where it was looked for; no error is a dump."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from uuid import uuid4

import pytest
from bson import ObjectId
from click.testing import CliRunner
from pymongo import AsyncMongoClient

from datalayer import Community
from datalayer.cli import cli
from datalayer.engine.translation import TRANSLATED, translate
from datalayer.errors import AuthenticationError, DataLayerError, PermissionDeniedError
from datalayer.schema.application import apply
from tests.indexes.things import Silence
from tests.server.guarded import ROOT, guarded_server


@pytest.fixture(scope="module")
async def address(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """Of a server that asks for users."""
    async with guarded_server(tmp_path_factory.mktemp("guarded")) as address:
        yield address


@pytest.fixture
async def name(address: str) -> AsyncIterator[str]:
    """Of a database with the schema of the community."""
    name = f"rights_{uuid4().hex[:8]}"
    async with Community.connect(uri(address, ROOT, name)) as community:
        yield name
        await community.database.command("dropAllRolesFromDatabase")
        await community.database.client.drop_database(name)


def uri(address: str, user: str, path: str, options: str = "&authSource=admin") -> str:
    """What the user connects with."""
    return f"mongodb://{user}@{address}/{path}?replicaSet=rs0{options}"


async def user(address: str, *roles: dict[str, str]) -> str:
    """A new user with these roles only, and the password."""
    name = f"user{uuid4().hex[:8]}"
    async with AsyncMongoClient(uri(address, ROOT, "admin")) as client:
        await client.admin.command("createUser", name, pwd="s3cret", roles=list(roles))  # noqa: S106
    return f"{name}:s3cret"


def told(error: DataLayerError) -> str:
    """What it says, which is a line without a dump and without secrets."""
    text = f"{error}{error!r}"
    assert not any(word in text for word in ("lsid", "signature", "clusterTime", "s3cret", "\n")), text
    return str(error)


READING: dict[str, Callable[[Community], Awaitable[Any]]] = {
    "find": lambda community: community.users.find(ObjectId()),  # type: ignore[arg-type]
    "aggregate": lambda community: community.conversations.unread_count(ObjectId()),  # type: ignore[arg-type]
    "count": lambda community: community.notifications.unread_count(ObjectId()),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("what", READING)
async def test_who_may_not_read(address: str, name: str, what: str) -> None:
    async with AsyncMongoClient(uri(address, ROOT, name)) as client:
        listing = {"resource": {"db": name, "collection": ""}, "actions": ["listCollections"]}
        await client[name].command("createRole", "lister", privileges=[listing], roles=[])
    somebody = await user(address, {"role": "lister", "db": name})
    async with Community.connect(uri(address, somebody, name), schema="skip") as community:
        with pytest.raises(PermissionDeniedError) as error:
            await READING[what](community)
    assert (error.value.action, error.value.role, error.value.code) == ("find", "read", "permission_denied")
    assert f"{name}.{error.value.collection}" in told(error.value)
    assert f"the role read on {name} grants" in told(error.value)


@pytest.mark.parametrize("what", ["insert", "update", "remove"])
async def test_who_may_not_write(address: str, name: str, what: str) -> None:
    """Alone and in a transaction; nothing is there afterwards."""
    writing: dict[str, tuple[str, Callable[[Community], Awaitable[Any]]]] = {
        "insert": ("users", lambda community: community.users.create(name="Ada")),
        "update": ("communitySettings", lambda community: community.community_settings.update(name="Ours")),
        "remove": ("notifications", lambda community: community.notifications.delete(ObjectId())),  # type: ignore[arg-type]
    }
    collection, work = writing[what]
    reader = await user(address, {"role": "read", "db": name})
    async with Community.connect(uri(address, reader, name), schema="verify") as community:
        for way in (lambda: work(community), lambda: community.transaction(lambda: work(community))):
            with pytest.raises(PermissionDeniedError) as error:
                await way()
            assert (error.value.action, error.value.collection) == (what, collection)
            assert error.value.role == "readWrite"
            assert f"{name}.{collection}" in told(error.value)
        assert await community.database[collection].count_documents({}) == 0


async def test_who_may_not_look_at_the_schema(address: str, name: str) -> None:
    somebody = uri(address, await user(address), name)
    with pytest.raises(PermissionDeniedError, match=f"may not run listCollections on {name}") as error:
        async with Community.connect(somebody, schema="verify"):
            pass
    assert (error.value.collection, error.value.role) == (None, "read")
    for command in ("check", "plan", "apply"):
        done = await asyncio.to_thread(CliRunner().invoke, cli, ["schema", command, "--json", "--uri", somebody])
        assert (done.exit_code, json.loads(done.stdout)["error"]["code"]) == (3, "permission_denied")


async def test_who_may_not_change_the_schema(address: str, name: str) -> None:
    """Each of the commands that a step takes."""
    reader = await user(address, {"role": "read", "db": name})
    commands: dict[str, dict[str, Any]] = {
        "createCollection": {"create": "new"},
        "createIndex": {"createIndexes": "users", "indexes": [{"name": "mine", "key": {"bio": 1}}]},
        "dropIndex": {"dropIndexes": "users", "index": "by_role"},
        "collMod": {"collMod": "users", "validator": {}},
        "dropCollection": {"drop": "users"},
    }
    async with AsyncMongoClient(uri(address, reader, name)) as client:
        for action, command in commands.items():
            with pytest.raises(TRANSLATED) as raised:
                await client[name].command(command)
            error = translate(raised.value)
            assert isinstance(error, PermissionDeniedError)
            assert (error.action, error.role, error.collection) == (action, "dbAdmin", next(iter(command.values())))
            assert f"the role dbAdmin on {name} grants" in told(error)


async def test_a_deployment_that_lacks_rights(address: str, name: str) -> None:
    """`readWrite` alone sets no validator: the command says so, and exits with neither drift nor a blockade."""
    writer = await user(address, {"role": "readWrite", "db": name})
    async with AsyncMongoClient(uri(address, ROOT, name)) as client:
        await client[name].command("collMod", "users", validator={})
    arguments = ["schema", "apply", "--only", "community", "--uri", uri(address, writer, name)]
    done = await asyncio.to_thread(CliRunner().invoke, cli, arguments)
    assert (done.exit_code, done.stderr.count("\n")) == (3, 1)
    assert f"may not run collMod on {name}.users" in done.stderr
    async with AsyncMongoClient(uri(address, ROOT, name)) as client:
        outcome = await apply(client[name], Community.documents, Silence(), lock_timeout=0)
    assert outcome.ready


async def test_where_a_user_is_looked_up(address: str, name: str) -> None:
    """In the database of the path, where the URI does not say; or the password is another one; or there is no user."""
    somebody = await user(address, {"role": "readWrite", "db": name})
    wrong = {
        uri(address, somebody, name, ""): f"the database {name} has no such user",
        uri(address, somebody.replace("s3cret", "s3crets"), name): "the database admin has no such user, or the",
        f"mongodb://{address}/{name}?replicaSet=rs0": "the URI has no user name",
    }
    for place, message in wrong.items():
        with pytest.raises(AuthenticationError, match=message) as error:
            async with Community.connect(place):
                pass
        told(error.value)
        done = await asyncio.to_thread(CliRunner().invoke, cli, ["schema", "check", "--uri", place])
        assert (done.exit_code, message in done.stderr) == (3, True)
    with pytest.raises(AuthenticationError, match="authSource=admin"):
        async with Community.connect(uri(address, somebody, name, "")):
            pass
