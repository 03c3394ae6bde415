"""What opens a database, or a server, refuses what it cannot use, by name and in a few words."""

import inspect
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
from pymongo import AsyncMongoClient

from datalayer import Community, DataLayerError, Stories, embedded_server
from datalayer.errors import InvalidInputError
from tests.hostile.test_arguments import assert_short
from tests.hostile.values import MARK, POISON, Rude

_VALUES = {**POISON, "empty": str, "blank": lambda: " ", "enormous": lambda: MARK * 1_000_000, "true": lambda: True}

Opening = Callable[[Any], AbstractAsyncContextManager[object]]


async def refused(opening: AbstractAsyncContextManager[object], name: str) -> None:
    """It is not opened; the error names the argument."""
    with pytest.raises(DataLayerError) as raised:
        async with opening:
            pytest.fail("it was opened")
    assert isinstance(raised.value, InvalidInputError), raised.value
    assert raised.value.field == name
    assert_short(raised.value)


async def test_connecting_refuses_what_it_cannot_use(
    server_uri: str, client: AsyncMongoClient[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MONGODB_URI", "mongodb:///")
    for value in _VALUES.values():
        await refused(Community.connect(value()), "uri")
        await refused(Stories.connect(server_uri, schema=value()), "schema")
        await refused(Community.over(value()), "database")
        await refused(Community.over(client["community"], schema=value()), "schema")
        if not callable(clock := value()):
            await refused(Community.over(client["community"], clock=clock), "clock")


async def test_a_transaction_needs_work(community: Community) -> None:
    """What raises inside the work is the work's own."""
    for value in POISON.values():
        work = value()
        if callable(work):
            continue
        with pytest.raises(InvalidInputError, match=r"^work: must be an async callable") as raised:
            await community.transaction(work)
        assert_short(raised.value)


async def test_a_coroutine_is_not_the_work(community: Community) -> None:
    """The error says what to pass instead; the coroutine is closed, so Python does not warn that nobody awaited it."""

    async def work() -> None:
        await community.users.create(name="Ada")

    with pytest.raises(InvalidInputError, match=r"pass `work`, not `work\(\)`$"):
        await community.transaction(coroutine := work())  # type: ignore[arg-type]
    assert inspect.getcoroutinestate(coroutine) == inspect.CORO_CLOSED


@pytest.mark.parametrize("work", [lambda: None, lambda: 5, Rude, dict, lambda: (x for x in "ab")])
async def test_work_that_cannot_be_awaited_is_refused(
    community: Community, work: Callable[[], Awaitable[None]]
) -> None:
    with pytest.raises(InvalidInputError, match=r"^work: must be an async callable"):
        await community.transaction(work)


async def test_the_embedded_server_refuses_what_it_cannot_use() -> None:
    for name, value in _VALUES.items():
        if name != "blank":
            await refused(embedded_server(value()), "data_dir")
        await refused(embedded_server(replicas=value()), "replicas")
        await refused(embedded_server(port=value()), "port")


@pytest.mark.parametrize("name", ["a$b", "a b", "a\\b", 'a"b', "x" * 100, "a%00b", "a=b", "a@b"])
async def test_a_uri_with_an_impossible_name_of_a_database_is_refused(server_uri: str, name: str) -> None:
    with pytest.raises(InvalidInputError, match=r"^uri: "):
        async with Community.connect(server_uri.replace("/?", f"/{name}?")):
            pytest.fail("it was opened")
