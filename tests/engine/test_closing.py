"""The end of an open database: what is under way is finished or undone, and what comes later is refused."""

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from typing import Any

import pytest
from bson import ObjectId
from pymongo import AsyncMongoClient

from datalayer import Community
from datalayer.documents import Post
from datalayer.engine import shutdown
from datalayer.errors import DatabaseClosedError, DataLayerError, OutcomeUnknownError
from datalayer.ids import UserId
from datalayer.testing import Factories

Opened = tuple[Community, AsyncExitStack]


@pytest.fixture(params=["connect", "over"])
async def opened(request: pytest.FixtureRequest, community: Community, server_uri: str) -> AsyncIterator[Opened]:
    """The test's database, opened once more; with what closes that."""
    uri = server_uri.replace("/?", f"/{community.database.name}?")
    async with AsyncExitStack() as stack:
        if request.param == "connect":
            again = await stack.enter_async_context(Community.connect(uri, schema="skip"))
        else:
            client: AsyncMongoClient[dict[str, Any]] = await stack.enter_async_context(AsyncMongoClient(uri))
            database = client[community.database.name]
            again = await stack.enter_async_context(Community.over(database, schema="skip"))
        yield again, stack


class Gate:
    """Holds what passes until it is opened."""

    def __init__(self) -> None:
        self.reached, self.open = asyncio.Event(), asyncio.Event()

    async def __call__(self) -> None:
        """Wait."""
        self.reached.set()
        await self.open.wait()


def _held(community: Community, gate: Gate) -> None:
    """Let likes write, and then wait before they commit."""
    groups: Any = community.likes._groups
    apply: Callable[..., Awaitable[Sequence[Any]]] = groups._apply

    async def held(*arguments: Any) -> Sequence[Any]:
        answers = await apply(*arguments)
        await gate()
        return answers

    groups._apply = held


async def _people(community: Community) -> tuple[Post, list[UserId]]:
    make = Factories(community)
    return await make.post(), [(await make.user()).id for _ in range(3)]


async def _open_transactions(community: Community) -> int:
    return (await community.database.client.admin.command("serverStatus"))["transactions"]["currentOpen"]


async def _end_transactions(community: Community) -> None:
    """End what a client has left open whose owner has closed it: nobody else can."""
    await community.database.client.admin.command({"killAllSessions": []})


async def test_it_waits_for_likes_whose_callers_are_gone(community: Community, opened: Opened) -> None:
    """The group commit goes on alone, and so do the requests that wait for the next one."""
    again, stack = opened
    (post, users), gate = await _people(community), Gate()
    _held(again, gate)
    first = asyncio.create_task(again.likes.like(users[0], "post", post.id))
    await gate.reached.wait()
    others = [asyncio.create_task(again.likes.like(user, "post", post.id)) for user in users[1:]]
    first.cancel()
    leaving = asyncio.create_task(stack.aclose())
    await asyncio.wait([first, leaving], return_when=asyncio.FIRST_COMPLETED)
    assert not leaving.done()
    gate.open.set()
    await leaving
    assert [result.liked for result in await asyncio.gather(*others)] == [True, True]
    assert (await community.posts.get(post.id)).like_count == 3


async def test_it_breaks_off_what_takes_too_long(
    community: Community, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The transactions are undone on the server, and the callers are told."""
    monkeypatch.setattr(shutdown, "LAST_SECONDS", 0.5)
    again, stack = opened
    (post, users), gate, entered = await _people(community), Gate(), asyncio.Event()
    _held(again, gate)

    async def work() -> None:
        await again.users.update_profile(users[1], bio="Undone")
        entered.set()
        await asyncio.Event().wait()

    calls: list[asyncio.Task[Any]] = [asyncio.create_task(again.likes.like(users[0], "post", post.id))]
    await gate.reached.wait()
    calls += [asyncio.create_task(again.likes.like(user, "post", post.id)) for user in users[1:]]
    calls.append(asyncio.create_task(again.transaction(work)))
    await entered.wait()
    await stack.aclose()
    answers = await asyncio.gather(*calls, return_exceptions=True)
    kinds = [type(answer) for answer in answers]
    assert kinds == [OutcomeUnknownError, DatabaseClosedError, DatabaseClosedError, OutcomeUnknownError]
    assert not [task for task in calls if task.cancelling()]
    assert await _open_transactions(community) == 0
    # Nothing is locked.
    async with asyncio.timeout(5):
        assert (await community.likes.like(users[0], "post", post.id)).like_count == 1
        assert (await community.users.update_profile(users[1], visibility="private")).bio is None


async def test_what_comes_later_is_refused(opened: Opened) -> None:
    """At once, with an error of the library's own, and before anything is sent."""
    again, stack = opened
    await stack.aclose()
    id: Any = ObjectId()
    for call in (
        again.users.find(id),
        again.users.create(),
        again.comments.delete(id),
        again.likes.like(id, "post", id),
        again.transaction(again.users.create),
    ):
        with pytest.raises(DatabaseClosedError, match="was closed"):
            await call


async def test_it_closes_also_when_who_closes_it_is_cancelled(community: Community, opened: Opened) -> None:
    """What is under way is undone then, without waiting for it."""
    again, stack = opened
    post, entered = await Factories(community).post(), asyncio.Event()

    async def work() -> None:
        await again.posts.edit(post.id, title="Undone")
        entered.set()
        await asyncio.Event().wait()

    call = asyncio.create_task(again.transaction(work))
    await entered.wait()
    leaving = asyncio.create_task(stack.aclose())
    await asyncio.sleep(0)
    leaving.cancel()
    async with asyncio.timeout(4):
        with pytest.raises(OutcomeUnknownError):
            await call
        with pytest.raises(asyncio.CancelledError):
            await leaving
    assert await _open_transactions(community) == 0
    with pytest.raises(DatabaseClosedError):
        await again.users.create()


async def test_a_client_that_its_owner_closes_says_so(community: Community, server_uri: str) -> None:
    """Also in the middle of a transaction, which is not tried again for 30 s."""
    client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(server_uri)
    user = await community.users.create()
    async with Community.over(client[community.database.name], schema="skip") as again, asyncio.timeout(5):

        async def work() -> None:
            await again.users.set_role(user.id, "moderator")
            await client.close()
            await again.users.set_role(user.id, "member")

        for call in (again.transaction(work), again.users.find(user.id), again.likes.like(user.id, "post", user.id)):
            with pytest.raises(DatabaseClosedError, match="client of this database was closed"):
                await call
    await _end_transactions(community)


async def test_a_client_that_is_closed_before_the_commit_says_so(community: Community, server_uri: str) -> None:
    client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(server_uri)
    user = await community.users.create()
    async with Community.over(client[community.database.name], schema="skip") as again, asyncio.timeout(5):

        async def work() -> None:
            await again.users.set_role(user.id, "moderator")
            await client.close()

        with pytest.raises(DatabaseClosedError, match="client of this database was closed"):
            await again.transaction(work)
    await _end_transactions(community)


async def test_another_event_loop_is_refused(community: Community) -> None:
    """At once: a like used to wait there for a commit of the first loop."""
    post, (user, *_) = await _people(community)
    said: list[BaseException] = []

    def elsewhere() -> None:
        calls: list[Callable[[], Awaitable[object]]] = [
            lambda: community.likes.like(user, "post", post.id),
            lambda: community.users.get(user),
            lambda: community.transaction(lambda: community.users.get(user)),
        ]
        for call in calls:
            try:
                asyncio.run(asyncio.wait_for(call(), 5))  # type: ignore[arg-type]
            except Exception as error:  # noqa: BLE001
                said.append(error)

    thread = threading.Thread(target=elsewhere)
    thread.start()
    await asyncio.to_thread(thread.join)
    assert [type(error) for error in said] == [DataLayerError] * 3
    assert all("another event loop" in str(error) for error in said)
