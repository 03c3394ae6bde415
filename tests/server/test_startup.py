"""Opening a database: what is made, what is refused, and what it says."""

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from bson import ObjectId
from pymongo import AsyncMongoClient
from pymongo.asynchronous.database import AsyncDatabase

from datalayer import Community, Stories
from datalayer.documents import Post, User
from datalayer.engine.repository import Repository
from datalayer.errors import (
    AlreadyExistsError,
    ConcurrentTransactionError,
    DatabaseClosedError,
    DataLayerError,
    InvalidInputError,
    NotFoundError,
    SchemaDriftError,
    ServerNotFoundError,
    StandaloneServerError,
    UnavailableError,
)
from datalayer.schema.application import plan_for
from datalayer.schema.live import live_tables
from datalayer.server.ports import free_port
from datalayer.server.program import find_mongod
from datalayer.testing import CommandLog
from tests.examples import full_wire

NAMES = [document.Settings.name for document in Community.documents]


@pytest.fixture
async def empty(client: AsyncMongoClient[dict[str, Any]]) -> AsyncIterator[AsyncDatabase[dict[str, Any]]]:
    """A database of the test's own."""
    database = client[f"test_{uuid4().hex[:8]}"]
    yield database
    await client.drop_database(database)


async def test_an_empty_database_gets_the_whole_schema(empty: AsyncDatabase[dict[str, Any]], server_uri: str) -> None:
    """All collections, validators and indexes are there afterwards, and a second start only looks."""
    async with Community.over(empty):
        pass
    log = CommandLog()
    async with AsyncMongoClient(server_uri, event_listeners=[log]) as client:
        with log.recorded() as commands:
            for mode in ("verify", "create"):
                async with Community.over(client[empty.name], schema=mode):
                    pass
    assert sorted(await live_tables(empty, NAMES)) == sorted(NAMES)
    assert {command.name for command in commands} == {"hello", "listCollections", "listIndexes", "buildInfo"}


@pytest.mark.parametrize("at_once", [2, pytest.param(4, marks=pytest.mark.thorough)])
@pytest.mark.thorough
async def test_many_processes_start_at_once(
    empty: AsyncDatabase[dict[str, Any]], server_uri: str, at_once: int
) -> None:
    """None of them trips over another, on an empty database."""
    program = (
        "import asyncio, sys; from datalayer import Community\n"
        "async def main():\n"
        "    async with Community.connect(sys.argv[1]): pass\n"
        "asyncio.run(main())"
    )
    uri = server_uri.replace("/?", f"/{empty.name}?")
    processes = [await asyncio.create_subprocess_exec(sys.executable, "-c", program, uri) for _ in range(at_once)]
    assert [await process.wait() for process in processes] == [0] * at_once
    async with Community.over(empty, schema="verify"):
        pass


async def test_verify_makes_nothing(empty: AsyncDatabase[dict[str, Any]]) -> None:
    """On an empty database it names all that is missing."""
    with pytest.raises(SchemaDriftError, match="posts: it is missing") as error:
        async with Community.over(empty, schema="verify"):
            pass
    assert "posts.by_spaceId: it is missing" in error.value.differences
    assert await empty.list_collection_names() == []


async def test_skip_does_not_look(empty: AsyncDatabase[dict[str, Any]]) -> None:
    async with Community.over(empty, schema="skip") as community:
        assert await community.posts.get_many([]) == {}
    assert await empty.list_collection_names() == []


async def test_a_changed_index_is_drift(empty: AsyncDatabase[dict[str, Any]]) -> None:
    """Other keys, key order or options under a declared name; the error names it and what to type."""
    async with Community.over(empty):
        pass
    for changed in (
        {"key": {"createdAt": 1, "spaceId": 1}},
        {"key": {"spaceId": 1, "createdAt": 1, "_id": 1}, "unique": True},
    ):
        await empty.posts.drop_index("by_spaceId_and_createdAt")
        await empty.command("createIndexes", "posts", indexes=[{"name": "by_spaceId_and_createdAt", **changed}])
        for mode in ("create", "verify"):
            with pytest.raises(
                SchemaDriftError, match=r"posts.by_spaceId_and_createdAt: its keys or options are different"
            ) as error:
                async with Community.over(empty, schema=mode):  # type: ignore[arg-type]
                    pass
            assert "`datalayer schema apply --drop`" in str(error.value)
    await empty.posts.drop_index("by_spaceId_and_createdAt")
    async with Community.over(empty):
        pass


async def test_an_index_under_another_name_is_drift(empty: AsyncDatabase[dict[str, Any]]) -> None:
    """The server refuses the same keys twice, so the error says which name to drop."""
    await empty.likes.create_index({"userId": 1, "_id": 1}, name="mine")
    with pytest.raises(SchemaDriftError, match=r"likes.by_userId: .*under the name mine"):
        async with Community.over(empty):
            pass
    assert await empty.list_collection_names() == ["likes"]


async def test_an_index_of_an_operators_own_stops_no_start(empty: AsyncDatabase[dict[str, Any]]) -> None:
    """It is more than what is declared; `check` reports it."""
    await empty.users.create_index("bio", name="mine")
    async with Community.over(empty), Community.over(empty, schema="verify"):
        pass


async def test_a_changed_validator_is_drift(empty: AsyncDatabase[dict[str, Any]]) -> None:
    async with Community.over(empty):
        pass
    await empty.command("collMod", "users", validator={"role": {"$type": "string"}})
    with pytest.raises(SchemaDriftError, match="users: its validator is different"):
        async with Community.over(empty):
            pass


async def test_documents_that_break_the_validator_are_reported(empty: AsyncDatabase[dict[str, Any]]) -> None:
    """With their number and an example; and nothing is changed, in no collection."""
    await empty.users.insert_many([full_wire(User), full_wire(User) | {"_id": ObjectId("0" * 24), "role": "king"}])
    await empty.posts.insert_many([{"_id": number} for number in range(3)])
    with pytest.raises(SchemaDriftError) as error:
        async with Community.over(empty):
            pass
    assert "1 in users, for example ObjectId('000000000000000000000000')" in str(error.value)
    assert "3 in posts, for example 0" in str(error.value)
    assert sorted(await empty.list_collection_names()) == ["posts", "users"]
    assert list(await empty.users.index_information()) == ["_id_"]
    await empty.posts.drop()
    await empty.users.delete_one({"role": "king"})
    async with Community.over(empty, schema="create"), Community.over(empty, schema="verify"):
        pass


async def test_duplicates_under_a_unique_index_are_reported(empty: AsyncDatabase[dict[str, Any]]) -> None:
    await empty.gamificationConfig.insert_many([{"action": "post", "pointValue": 1} for _ in range(2)])
    with pytest.raises(SchemaDriftError, match=r"gamificationConfig .*by_action.*action.*post"):
        async with Community.over(empty):
            pass


async def test_every_repository_reads_by_id(community: Community, stories: Stories) -> None:
    """`get`, `find` and `get_many` work for all 27 tables, and do not find what is deleted."""
    repositories = [
        item for database in (community, stories) for item in vars(database).values() if isinstance(item, Repository)
    ]
    assert len(repositories) == 27
    for repository in repositories:
        wire = full_wire(repository.document)
        id, soft = wire["_id"], "deletedAt" in wire
        database = community.database if repository.document in Community.documents else stories.database
        if repository.belongs_to is not None:
            # Without what it is a part of, it is being removed.
            parent, field = repository.belongs_to
            parents = database.get_collection(parent.Settings.name)
            await parents.insert_one({"_id": wire[field]}, bypass_document_validation=True)
        await database[repository.document.Settings.name].insert_one(wire)
        if soft:
            assert await repository.find(id) is None
            assert await repository.get_many([id]) == {}
            with pytest.raises(NotFoundError):
                await repository.get(id)
            assert (await repository.get(id, include_deleted=True)).to_wire() == wire
            assert await repository.get_many([id], include_deleted=True) == {id: repository.document.from_wire(wire)}
            await database[repository.document.Settings.name].update_one({"_id": id}, {"$unset": {"deletedAt": 1}})
        document = await repository.get(id)
        assert document.to_wire() == {name: value for name, value in wire.items() if name != "deletedAt"}
        assert await repository.find(id) == document
        assert await repository.get_many({id, ObjectId()}) == {id: document}
        with pytest.raises(NotFoundError):
            await repository.get(ObjectId())
        for wrong in (str(id), {"$gt": ""}, None, [id]):
            with pytest.raises(InvalidInputError, match=r"^id: "):
                await repository.get(wrong)
            with pytest.raises(InvalidInputError, match=r"^ids\[0\]: "):
                await repository.get_many([wrong])


async def test_documents_are_beanie_documents(community: Community) -> None:
    """Beanie's own queries read the database that was opened last."""
    user = User.model_validate({name: value for name, value in full_wire(User).items() if name != "bio"})
    async with Community.over(community.database, schema="skip"):
        await community.database.users.insert_one(user.to_wire())
        assert await User.find(User.points == 3).to_list() == [user]
        assert await User.get(user.id) == user
    assert "bio" not in (await community.database.users.find_one() or {})
    post = Post.from_wire(full_wire(Post))
    with pytest.raises(NotImplementedError):
        post.lazy_parse({})


async def test_transactions_happen_whole_or_not(community: Community) -> None:
    """An error undoes everything; the result of the work is given."""
    users = community.database.users

    async def work() -> int:
        await users.insert_one(full_wire(User))
        return await users.count_documents({})

    assert await community.transaction(work) == 1

    async def failing() -> None:
        await users.delete_many({})
        raise KeyError

    with pytest.raises(KeyError):
        await community.transaction(failing)
    assert await users.count_documents({}) == 1

    async def duplicate() -> None:
        await users.insert_one(await users.find_one() or {})

    with pytest.raises(AlreadyExistsError):
        await community.transaction(duplicate)


async def test_concurrent_work_inside_a_transaction_is_refused(community: Community) -> None:
    """Tasks that use the repositories inside a transaction get an error that says what to do."""

    async def gathered() -> None:
        await asyncio.gather(*(community.users.find(ObjectId()) for _ in range(3)))

    with pytest.raises(ConcurrentTransactionError, match="outside of it"):
        await community.transaction(gathered)

    leftover: list[asyncio.Task[Any]] = []

    async def outliving() -> None:
        async def later() -> None:
            await asyncio.sleep(0.01)
            await community.users.find(ObjectId())

        leftover.append(asyncio.create_task(later()))

    await community.transaction(outliving)
    with pytest.raises(ConcurrentTransactionError, match="is over"):
        await leftover[0]


async def test_no_server_is_guessed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A service that lost its configuration does not start on a database of its own."""
    monkeypatch.delenv("MONGODB_URI", raising=False)
    with pytest.raises(ServerNotFoundError, match=r"Set MONGODB_URI, .*embedded_server"):
        async with Community.connect():
            pass


async def test_the_environment_names_the_server(monkeypatch: pytest.MonkeyPatch, server_uri: str) -> None:
    """Without a path the databases have the products' names."""
    monkeypatch.setenv("MONGODB_URI", server_uri)
    async with Community.connect() as community, Stories.connect() as stories:
        assert (community.database.name, stories.database.name) == ("community", "stories")


async def test_a_silent_server_is_an_error_without_credentials() -> None:
    """It comes within the time that is given, and names the address."""
    uri = "mongodb://somebody:secret@127.0.0.1:9/?serverSelectionTimeoutMS=100"
    with pytest.raises(UnavailableError, match=r"127.0.0.1:9") as error:
        async with Community.connect(uri):
            pass
    assert "secret" not in f"{error.value}{error.value!r}"


async def test_a_standalone_server_is_refused(tmp_path: Path) -> None:
    """The error says what is missing, and how to start a replica set."""
    port = free_port()
    arguments = ("--port", str(port), "--dbpath", str(tmp_path), "--bind_ip", "127.0.0.1", "--nounixsocket", "--quiet")
    process = await asyncio.create_subprocess_exec(find_mongod(), *arguments, stdout=asyncio.subprocess.DEVNULL)
    try:
        with pytest.raises(StandaloneServerError, match=r"require a replica set.*--replSet rs0.*rs.initiate"):
            async with Community.connect(f"mongodb://127.0.0.1:{port}"):
                pass
    finally:
        process.terminate()
        await process.wait()


@pytest.mark.parametrize("uri", ["localhost", "mongodb://user:secret@:x/", "mongodb://user:secret@host:99999999/", 5])
async def test_a_bad_uri_is_bad_input(uri: str) -> None:
    with pytest.raises(InvalidInputError, match=r"^uri: ") as error:
        async with Community.connect(uri):
            pass
    assert "secret" not in str(error.value)


async def test_an_unknown_schema_mode_is_bad_input(client: AsyncMongoClient[dict[str, Any]]) -> None:
    with pytest.raises(InvalidInputError, match=r"^schema: must be one of create, verify, skip"):
        async with Community.over(client["community"], schema="maybe"):  # type: ignore[arg-type]
            pass


async def test_errors_in_the_callers_block_are_the_callers(community: Community) -> None:
    """The context managers translate what they do themselves, and nothing else."""
    with pytest.raises(OverflowError):
        async with Community.over(community.database, schema="skip"):
            raise OverflowError
    assert not issubclass(OverflowError, DataLayerError)


@pytest.mark.parametrize("off", [{"validationAction": "warn"}, {"validationLevel": "off"}])
async def test_a_validator_that_is_switched_off_is_drift(
    empty: AsyncDatabase[dict[str, Any]], off: dict[str, str]
) -> None:
    """Reads rely on it."""
    async with Community.over(empty):
        pass
    await empty.command("collMod", "users", **off)
    with pytest.raises(SchemaDriftError, match="users: its validator is switched off"):
        async with Community.over(empty):
            pass


async def test_a_collection_of_another_kind_is_drift(empty: AsyncDatabase[dict[str, Any]]) -> None:
    """One that removes documents by itself, or compares strings in its own way, or is none; `apply` leaves it alone."""
    oddities: dict[str, dict[str, Any]] = {
        "is capped": {"capped": True, "size": 4096},
        "removes documents by itself after a time": {
            "clusteredIndex": {"key": {"_id": 1}, "unique": True},
            "expireAfterSeconds": 0,
        },
        "has its own collation": {"collation": {"locale": "en", "strength": 1}},
        "is a timeseries": {"timeseries": {"timeField": "at"}},
        "is a view": {"viewOn": "posts"},
    }
    async with Community.over(empty):
        pass
    for oddity, options in oddities.items():
        await empty.users.drop()
        await empty.command("create", "users", **options)
        for mode in ("create", "verify"):
            with pytest.raises(SchemaDriftError, match=f"users: it {oddity}.*copy its documents into a plain"):
                async with Community.over(empty, schema=mode):  # type: ignore[arg-type]
                    pass
        assert [str(step) for step in await plan_for(empty, Community.documents)] == ["look into users"]


async def test_a_failover_takes_no_part_of_the_schema_back(
    empty: AsyncDatabase[dict[str, Any]], server_uri: str
) -> None:
    """A majority acknowledges whatever a start makes."""
    await empty.create_collection("users")
    log = CommandLog()
    async with AsyncMongoClient(server_uri, event_listeners=[log]) as client:
        with log.recorded() as commands:
            async with Community.over(client[empty.name]):
                pass
    made = [command for command in commands if command.name in ("create", "collMod", "createIndexes")]
    assert {command.name for command in made} == {"create", "collMod", "createIndexes"}
    assert all(command.document["writeConcern"] == {"w": "majority"} for command in made)


async def test_what_the_work_raises_is_the_works(community: Community) -> None:
    """Its own errors pass as they are; and a conflict is tried again even where the work wraps it."""
    with pytest.raises(OverflowError):
        await community.transaction(_raising(OverflowError()))
    with pytest.raises(InvalidInputError, match=r"^work: "):
        await community.transaction(lambda: None)  # type: ignore[arg-type, return-value]
    users = [await community.users.create(name=f"{number}") for number in range(2)]

    async def both() -> None:
        try:
            for user in users:
                await community.users.set_role(user.id, "admin")
                await community.users.set_role(user.id, "moderator")
                await asyncio.sleep(0.005)
        except DataLayerError as error:
            raise RuntimeError from error

    await community.users.create(role="admin")
    await asyncio.gather(*(community.transaction(both) for _ in range(4)))


def _raising(error: Exception) -> Any:
    async def work() -> None:
        raise error

    return work


async def test_a_closed_connection_says_so_at_once(server_uri: str) -> None:
    """In a transaction too."""
    async with Community.connect(server_uri.replace("/?", "/closed?"), schema="skip") as community:
        pass
    async with asyncio.timeout(5):
        for call in (community.users.find(ObjectId()), community.comments.delete(ObjectId())):  # type: ignore[arg-type]
            with pytest.raises(DatabaseClosedError):
                await call


@pytest.mark.parametrize("uri", ["mongodb://user:secret/word@host/db", "mongodb://user:pa/ss/secret@host"])
async def test_no_part_of_a_password_is_told(uri: str) -> None:
    with pytest.raises(InvalidInputError, match="Percent-encode") as error:
        async with Community.connect(uri):
            pass
    assert "secret" not in str(error.value)
    assert "word" not in str(error.value).replace("password", "")
    assert error.value.__cause__ is None
