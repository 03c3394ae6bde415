"""What a call says has happened: a write whose first attempt got no answer may have happened, whatever came then."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from bson import ObjectId
from pymongo.errors import (
    ConfigurationError,
    ExecutionTimeout,
    InvalidOperation,
    PyMongoError,
    ServerSelectionTimeoutError,
    WaitQueueTimeoutError,
)

from datalayer import Community
from datalayer.documents import Level, User
from datalayer.engine import transactions
from datalayer.errors import (
    AlreadyExistsError,
    DatabaseClosedError,
    DataLayerError,
    OutcomeUnknownError,
    UnavailableError,
)
from tests.faults.injecting import LOST_REPLY, Fault
from tests.faults.stage import Stage

CODES = [13, 24, 26, 50, 112, 206, 225, 251, 11601, 11602]
"""With these a server may refuse a command before it looks whether it has done that already."""

NO_SUCH_TRANSACTION = 251
"""As the answer to a commit it says that no earlier attempt was successful."""

ERRORS: list[PyMongoError] = [
    WaitQueueTimeoutError("Timed out while checking out a connection from connection pool"),
    ServerSelectionTimeoutError("No servers available"),
    ExecutionTimeout("operation would exceed time limit", 50, {}),
    ConfigurationError("Sessions are not supported by this MongoDB deployment"),
    InvalidOperation("Cannot use AsyncMongoClient after close"),
]
"""The driver raises these before it sends a command."""


def lost_then(code: int) -> Fault:
    """The server does it, the reply is lost, and the second attempt is refused."""
    return Fault(f"refused with {code}", {"errorCode": code}, loses_reply=True)


@pytest.fixture
def community(stage: Stage) -> Iterator[Community]:
    """The community whose commands meet faults."""
    client: Any = stage.world.c.database.client
    yield stage.world.c
    client.__dict__.pop("_select_server", None)


@pytest.mark.parametrize("code", CODES)
async def test_a_refused_second_attempt_says_nothing_of_the_first(
    stage: Stage, community: Community, code: int
) -> None:
    """An insert, an update and a delete: each has happened."""
    fault = lost_then(code)
    with stage.injector.fault(fault, 0), pytest.raises(OutcomeUnknownError):
        await community.users.create(auth_user_id="outcome")
    user = await community.users.by_auth_user_id("outcome")
    assert user is not None
    with stage.injector.fault(fault, 0), pytest.raises(OutcomeUnknownError):
        await community.users.update_profile(user.id, bio="x")
    assert (await community.users.get(user.id)).bio == "x"
    with stage.injector.fault(fault, 0), pytest.raises(OutcomeUnknownError):
        await community._connection.collection(User).delete_one({"_id": user.id})
    assert await community.users.find(user.id) is None


def _second_attempt_raises(community: Community, error: PyMongoError) -> None:
    """Let the driver raise the error when it looks for a server the second time."""
    client: Any = community.database.client
    select, calls = client._select_server, iter([None, error])

    async def selected(*arguments: Any, **options: Any) -> Any:
        if (raised := next(calls, None)) is not None:
            raise raised
        return await select(*arguments, **options)

    client._select_server = selected


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
async def test_a_second_attempt_that_is_not_sent_says_nothing_of_the_first(
    stage: Stage, community: Community, error: PyMongoError
) -> None:
    """A full pool, a deadline, a server that starts, a client that is closed."""
    _second_attempt_raises(community, error)
    with stage.injector.fault(LOST_REPLY, 0), pytest.raises(OutcomeUnknownError):
        await community.users.create(auth_user_id="outcome")
    await community.database.users.delete_one({"authUserId": "outcome"})


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
async def test_a_first_attempt_that_is_not_sent_has_changed_nothing(community: Community, error: PyMongoError) -> None:
    client: Any = community.database.client

    async def selected(*_arguments: Any, **_options: Any) -> Any:
        raise error

    client._select_server = selected
    with pytest.raises((UnavailableError, DatabaseClosedError)) as raised:
        await community.users.create()
    assert not isinstance(raised.value, OutcomeUnknownError)


@pytest.mark.parametrize("code", CODES)
async def test_the_outcome_of_a_read_is_never_unknown(stage: Stage, community: Community, code: int) -> None:
    """A read changes nothing, whatever is said of it."""
    labelled = Fault("labelled", {"errorCode": code, "errorLabels": ["RetryableWriteError"]}, loses_reply=True)
    for fault in (lost_then(code), labelled):
        with stage.injector.fault(fault, 0), pytest.raises(DataLayerError) as raised:
            await community.users.find(stage.world.author)
        assert not isinstance(raised.value, OutcomeUnknownError)


async def test_a_refusal_of_the_statement_is_known(stage: Stage, community: Community) -> None:
    """The server looks for an earlier attempt before it carries out a statement; so there was none."""
    ada = await community.users.create(auth_user_id="ada")
    with stage.injector.fault(Fault("closed", {"closeConnection": True}), 0), pytest.raises(AlreadyExistsError):
        await community.users.create(auth_user_id="ada")
    await community.database.users.delete_one({"_id": ada.id})


async def test_writes_of_many_documents_have_no_second_attempt(stage: Stage, community: Community) -> None:
    """Outside of transactions the driver raises their errors without a label."""
    levels = community._connection.collection(Level)
    new = [Level(name="x", order=number, threshold=number).to_wire() for number in (101, 102)]
    with stage.injector.fault(LOST_REPLY, 0), pytest.raises(OutcomeUnknownError):
        await levels.update_many({"order": 1}, {"$set": {"name": "y"}})
    unconfirmed = Fault("no majority", {"writeConcernError": {"code": 64, "errmsg": "timed out"}})
    with stage.injector.fault(unconfirmed, 0), pytest.raises(OutcomeUnknownError):
        await levels.insert_many(new)
    await stage.world.put_back("levels")


@pytest.mark.parametrize("code", [code for code in CODES if code != NO_SUCH_TRANSACTION])
async def test_a_refused_second_commit_says_nothing_of_the_first(
    stage: Stage, community: Community, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The commit is repeated, the work is not: it would be done twice."""
    monkeypatch.setattr(transactions, "TRANSACTION_SECONDS", 0.3)
    # The transaction is being undone by then.
    asyncio.get_running_loop().call_later(0.4, stage.injector.mend)
    id = ObjectId()
    with stage.injector.fault(lost_then(code), 1), pytest.raises(OutcomeUnknownError):
        await community.transaction(lambda: community.users.create(auth_user_id=str(id)))
    found = await community.users.by_auth_user_id(str(id))
    assert found is not None
    await community.database.users.delete_one({"_id": found.id})
