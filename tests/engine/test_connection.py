"""What an open database asks of the server, whatever its client's options are; and whose transaction it joins."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from bson.codec_options import TypeDecoder, TypeRegistry
from pymongo import AsyncMongoClient

from datalayer import Community, Stories
from datalayer.errors import ConcurrentTransactionError, InvalidInputError
from datalayer.testing import Command, CommandLog, Factories, count_commands

Client = AsyncMongoClient[dict[str, Any]]

SNAPSHOT = {"readConcern": {"level": "snapshot"}}
MAJORITY = {"writeConcern": {"w": "majority"}}


@asynccontextmanager
async def opened(uri: str, options: str) -> AsyncIterator[Community]:
    """The database at the URI, by a client with these options."""
    async with (
        Client(f"{uri}&{options}", event_listeners=[CommandLog()]) as client,
        Community.over(client.get_default_database(), schema="skip") as community,
    ):
        yield community


def asked(command: Command) -> tuple[str, dict[str, Any]]:
    """What the command does, and the guarantees that it asks for."""
    wanted = {name: command.document.get(name) for name in ("readConcern", "writeConcern", "$readPreference")}
    # The driver adds the time of the last operation.
    concern = {key: value for key, value in (wanted["readConcern"] or {}).items() if key != "afterClusterTime"}
    return command.name, {name: value for name, value in (wanted | {"readConcern": concern}).items() if value}


async def test_writes_are_acknowledged_by_a_majority(community: Community, datalayer_uri: str) -> None:
    """Also where the URI asks for less, in a transaction and outside of one."""
    user = await Factories(community).user()
    async with opened(datalayer_uri, "w=1&journal=false") as weak:
        with count_commands(weak) as commands:
            await weak.users.update_profile(user.id, bio="x")
            await weak.transaction(lambda: weak.users.update_profile(user.id, bio="y"))
    assert [asked(command) for command in commands] == [
        ("findAndModify", MAJORITY),
        ("findAndModify", SNAPSHOT),
        ("commitTransaction", MAJORITY),
    ]


async def test_reads_see_the_last_write(community: Community, datalayer_uri: str) -> None:
    """Also where the URI asks for a secondary, and for data that may be undone."""
    user = await Factories(community).user()
    async with opened(datalayer_uri, "readPreference=secondaryPreferred&readConcernLevel=available") as weak:
        with count_commands(weak) as commands:
            await weak.users.get(user.id)
            await weak.users.directory()
            await weak.points.breakdown(user.id)
            async with weak._connection.snapshot():
                await weak.users.get(user.id)
    assert [asked(command) for command in commands] == [
        ("find", {}),
        ("find", {}),
        ("aggregate", {}),
        ("find", SNAPSHOT),
    ]


async def test_a_transaction_reads_one_snapshot_of_the_primary(community: Community, datalayer_uri: str) -> None:
    """Also where the URI asks for a secondary, on which a transaction cannot run."""
    user = await Factories(community).user()
    async with opened(datalayer_uri, "readPreference=secondaryPreferred&readConcernLevel=available") as weak:
        with count_commands(weak) as commands:
            await weak.transaction(lambda: weak.users.get(user.id))
    assert [asked(command) for command in commands] == [("find", SNAPSHOT), ("commitTransaction", MAJORITY)]


class Shouting(TypeDecoder):
    """Decodes strings in an application's own way."""

    bson_type = str

    def transform_bson(self, value: str) -> str:
        """The string in capitals."""
        return value.upper()


async def test_documents_are_decoded_in_the_librarys_own_way(community: Community, datalayer_uri: str) -> None:
    user = await Factories(community).user()
    async with (
        Client(datalayer_uri, type_registry=TypeRegistry([Shouting()])) as client,
        Community.over(client.get_default_database(), schema="skip") as other,
    ):
        assert await other.users.get(user.id) == user
        assert await other.users.set_role(user.id, "moderator") == await community.users.get(user.id)


async def test_a_client_that_does_not_retry_writes_is_refused(datalayer_uri: str) -> None:
    """A write whose reply is lost would be reported as failed, and repeated by the caller."""
    async with Client(f"{datalayer_uri}&retryWrites=false") as client:
        for opening in (
            Community.over(client.get_default_database(), schema="skip"),
            Community.connect(f"{datalayer_uri}&retryWrites=false", schema="skip"),
        ):
            with pytest.raises(InvalidInputError, match="must not be false") as error:
                async with opening:
                    pytest.fail("it was opened")
            assert error.value.field == "retryWrites"


async def test_a_transaction_does_not_span_two_clients(community: Community, datalayer_uri: str) -> None:
    """The work is refused before the other client writes, and nothing stays."""
    async with opened(datalayer_uri, "appName=other") as other:

        async def work() -> None:
            await community.users.create(name="Ada")
            await other.users.create(name="Bob")

        with pytest.raises(ConcurrentTransactionError, match="two clients"):
            await community.transaction(work)
        with pytest.raises(ConcurrentTransactionError, match="two clients"):
            await community.transaction(lambda: other.transaction(lambda: asyncio.sleep(0)))
    assert (await community.users.directory()).items == []


async def test_a_transaction_spans_the_databases_of_one_client(community: Community) -> None:
    """Both have changed afterwards, or none."""
    async with Stories.over(community.database, schema="skip") as stories:

        async def work(*, fail: bool) -> None:
            await community.users.create(name="Ada")
            await stories.stories.create("A story")
            if fail:
                raise KeyError

        async def counts() -> list[int]:
            return [await community.database[name].count_documents({}) for name in ("users", "stories")]

        with pytest.raises(KeyError):
            await community.transaction(lambda: work(fail=True))
        assert await counts() == [0, 0]
        await community.transaction(lambda: work(fail=False))
        assert await counts() == [1, 1]
