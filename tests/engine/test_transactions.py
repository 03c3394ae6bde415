"""How a transaction ends, whatever its work does, and what may reach the server after that."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from contextvars import Context
from typing import Any, NamedTuple

import pymongo
import pytest
from bson import ObjectId
from pymongo import AsyncMongoClient
from pymongo.errors import InvalidOperation, OperationFailure
from pymongo.uri_parser import parse_uri

from datalayer import Community
from datalayer.engine import transactions
from datalayer.errors import AlreadyExistsError, DataLayerError, OutcomeUnknownError
from datalayer.ids import UserId
from tests.faults.proxy import Proxy

Client = AsyncMongoClient[dict[str, Any]]
APP_NAME = "remote"
OPTIONS = f"directConnection=true&serverMonitoringMode=poll&appName={APP_NAME}"


class Remote(NamedTuple):
    """A database behind a proxy."""

    community: Community
    proxy: Proxy


@pytest.fixture
async def remote(community: Community, datalayer_uri: str) -> AsyncIterator[Remote]:
    """The database of `community`."""
    ((_, port),) = parse_uri(datalayer_uri)["nodelist"]
    proxy = Proxy(port)
    async with (
        proxy.listening() as through,
        Client(f"mongodb://127.0.0.1:{through}/?{OPTIONS}") as client,
        Community.over(client[community.database.name], schema="skip") as opened,
    ):
        yield Remote(opened, proxy)
    # What a failed test has left open would hold up the next one for a minute.
    await community.database.client.admin.command({"killAllSessions": []})


async def open_transactions(community: Community) -> int:
    """How many transactions are open on the server."""
    return (await community.database.client.admin.command("serverStatus"))["transactions"]["currentOpen"]


async def test_an_error_of_the_driver_is_translated(community: Community) -> None:
    """Also where the work uses the driver itself, and in a transaction inside of another."""

    async def refused() -> None:
        await community.database.users.find_one({"$nothing": 1})

    for work in (refused, lambda: community.transaction(refused)):
        with pytest.raises(DataLayerError, match="unknown top level operator") as error:
            await community.transaction(work)
        assert isinstance(error.value.__cause__, OperationFailure)


async def _by_the_driver(community: Community) -> None:
    await community.database.users.find_one({})


async def _by_a_repository(community: Community) -> None:
    await community.users.find(UserId(ObjectId()))


async def _suppressed(community: Community) -> None:
    with suppress(DataLayerError):
        await _by_a_repository(community)


@pytest.mark.parametrize("use", [_by_the_driver, _by_a_repository, _suppressed])
async def test_a_client_that_is_closed_is_not_tried_again(
    datalayer_uri: str, use: Callable[[Community], Awaitable[None]]
) -> None:
    """The driver labels this error as one that may pass."""
    attempts = 0
    async with Community.connect(datalayer_uri, schema="skip") as community:

        async def work() -> None:
            nonlocal attempts
            attempts += 1
            await community.database.client.close()
            await use(community)

        with pytest.raises(DataLayerError, match=r"was closed|was undone by an error") as error:
            async with asyncio.timeout(1):
                await community.transaction(work)
    assert attempts == 1
    assert isinstance(error.value.__cause__, InvalidOperation)


async def test_work_that_goes_on_after_an_error_is_not_committed(community: Community) -> None:
    """The server has undone everything, and the error names what the work suppressed."""
    await community.users.create(auth_user_id="ada")
    attempts = 0

    async def work() -> None:
        nonlocal attempts
        attempts += 1
        await community.users.create(name="Bob")
        with suppress(AlreadyExistsError):
            await community.users.create(auth_user_id="ada")

    with pytest.raises(DataLayerError, match="was undone by an error inside it, a DuplicateKeyError"):
        await community.transaction(work)
    assert attempts == 1
    assert [user.name for user in (await community.users.directory()).items] == [None]


@pytest.mark.parametrize("ending", ["raised", "wrapped", "suppressed"])
async def test_a_conflict_is_tried_again_whatever_the_work_makes_of_it(community: Community, ending: str) -> None:
    user = await community.users.create(name="Ada")
    attempts = 0

    async def work() -> None:
        nonlocal attempts
        attempts += 1
        await community.users.get(user.id)
        if attempts == 1:
            change = community.users.update_profile(user.id, bio="Changed")
            await asyncio.create_task(change, context=Context())
        try:
            await community.users.update_profile(user.id, visibility="private")
        except DataLayerError as error:
            if ending == "raised":
                raise
            if ending == "wrapped":
                raise RuntimeError from error

    await community.transaction(work)
    assert attempts == 2
    changed = await community.users.get(user.id)
    assert (changed.bio, changed.visibility) == ("Changed", "private")


async def test_an_error_that_the_work_wraps_stays_the_works(community: Community) -> None:
    """Where trying again would not help."""
    await community.users.create(auth_user_id="ada")

    async def work() -> None:
        try:
            await community.users.create(auth_user_id="ada")
        except AlreadyExistsError as error:
            raise RuntimeError from error

    with pytest.raises(RuntimeError):
        await community.transaction(work)


async def test_a_cancelled_statement_that_arrives_late_begins_no_transaction(
    community: Community, remote: Remote
) -> None:
    """Nobody would end that transaction, and its locks would last for a minute."""
    held = remote.proxy.hold("insert")
    work = asyncio.create_task(remote.community.transaction(lambda: remote.community.users.create(name="Ada")))
    await held.arrived.wait()
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    held.may_pass.set()
    await remote.proxy.rest()
    assert await open_transactions(community) == 0


async def test_a_statement_out_of_time_that_arrives_late_begins_no_transaction(
    community: Community, remote: Remote
) -> None:
    """The same for a timeout in the work, which cancels the statement and raises an ordinary error."""
    held, deadline = remote.proxy.hold("insert"), asyncio.timeout(None)

    async def work() -> None:
        async with deadline:
            await remote.community.users.create(name="Ada")

    working = asyncio.create_task(remote.community.transaction(work))
    await held.arrived.wait()
    deadline.reschedule(asyncio.get_running_loop().time())
    with pytest.raises(TimeoutError):
        await working
    held.may_pass.set()
    await remote.proxy.rest()
    assert await open_transactions(community) == 0


async def test_a_commit_that_is_cancelled_is_seen_through(community: Community, remote: Remote) -> None:
    """The caller is told of the cancellation only when the commit has ended."""
    held = remote.proxy.hold("commitTransaction")
    work = asyncio.create_task(remote.community.transaction(lambda: remote.community.users.create(name="Ada")))
    await held.arrived.wait()
    for _ in range(2):
        work.cancel()
        await asyncio.sleep(0)
    assert not work.done()
    held.may_pass.set()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert [user.name for user in (await community.users.directory()).items] == ["Ada"]


async def test_only_a_cancelled_caller_gives_a_slow_commit_up(remote: Remote, monkeypatch: pytest.MonkeyPatch) -> None:
    """And not at once, but after a limited time."""
    monkeypatch.setattr(transactions, "LAST_SECONDS", 0.01)
    held = remote.proxy.hold("commitTransaction")
    work = asyncio.create_task(remote.community.transaction(lambda: remote.community.users.create(name="Ada")))
    await held.arrived.wait()
    await asyncio.wait([work], timeout=0.05)
    assert not work.done()
    work.cancel()
    await asyncio.wait([work], timeout=5)
    held.may_pass.set()
    assert work.done()
    assert work.cancelled()
    await remote.proxy.rest()


async def test_a_commit_that_is_not_answered_in_time_has_an_unknown_outcome(
    remote: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transactions, "TRANSACTION_SECONDS", 0.05)
    held = remote.proxy.hold("commitTransaction")
    work = asyncio.create_task(remote.community.transaction(lambda: remote.community.users.create(name="Ada")))
    await asyncio.wait([work], timeout=5)
    held.may_pass.set()
    assert work.done()
    with pytest.raises(OutcomeUnknownError):
        await work
    await remote.proxy.rest()


async def test_a_commit_is_repeated_until_its_outcome_is_known(remote: Remote, client: Client) -> None:
    """Here the server has done it, and cannot say yet whether a majority has."""
    unknown = {"failCommands": ["commitTransaction"], "writeConcernError": {"code": 64, "errmsg": "waiting timed out"}}
    await client.admin.command(
        {"configureFailPoint": "failCommand", "mode": {"times": 2}, "data": {"appName": APP_NAME, **unknown}}
    )
    user = await remote.community.transaction(lambda: remote.community.users.create(name="Ada"))
    assert await remote.community.users.find(user.id) == user


async def test_a_commit_that_fails_is_no_success(community: Community) -> None:
    """The server has lost the transaction by then; it is tried again."""
    attempts = 0

    async def work() -> None:
        nonlocal attempts
        attempts += 1
        await community.users.create(name="Ada")
        if attempts == 1:
            killing = community.database.client.admin.command({"killAllSessions": []})
            await asyncio.create_task(killing, context=Context())

    await community.transaction(work)
    assert attempts == 2
    assert len((await community.users.directory()).items) == 1


async def test_a_transaction_out_of_time_is_undone(community: Community) -> None:
    """The deadline that ended its work does not hold for its end: it would stay open on the server."""
    user = await community.users.create(name="Ada")

    async def work() -> None:
        await community.users.update_profile(user.id, bio="Changed")
        await asyncio.sleep(0.2)
        await community.users.get(user.id)

    with pytest.raises(DataLayerError), pymongo.timeout(0.2):
        await community.transaction(work)
    assert await open_transactions(community) == 0
    assert (await community.users.get(user.id)).bio is None
