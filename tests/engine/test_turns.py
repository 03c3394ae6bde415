"""The turns of a process: who waits for whom, and what happens where somebody does not end."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Any

import pytest
from bson import ObjectId
from hypothesis import given
from hypothesis import strategies as st

from datalayer import Community
from datalayer.engine import connection
from datalayer.engine.held_turns import HeldTurns
from datalayer.engine.host_turns import HostTurns
from datalayer.engine.turns import Key, Turns
from datalayer.errors import NotFoundError, UnavailableError
from datalayer.testing import count_commands
from tests.community.world import people, person, post

KEYS: list[Key] = [("posts", ObjectId(f"{number:024x}")) for number in range(4)]

some_keys = st.lists(st.sampled_from(KEYS), max_size=3)


@given(wanted=st.lists(st.tuples(some_keys, some_keys), min_size=2, max_size=8), chance=st.randoms())
async def test_everybody_has_a_turn_and_nobody_shares_one(
    wanted: list[tuple[list[Key], list[Key]]], chance: random.Random
) -> None:
    """Whatever they ask for first and later, and also where some are cancelled; at the end no turn is left."""
    turns, having, finished = Turns(), set[Key](), 0
    nobody_else = HostTurns("community")

    async def work(first: list[Key], later: list[Key]) -> None:
        nonlocal finished
        held = HeldTurns(turns, nobody_else)
        try:
            await held.wait(first)
            while missing := held.missing(later):
                await held.wait(missing)
            assert not having & held.keys
            having.update(held.keys)
            try:
                await asyncio.sleep(0)
            finally:
                having.difference_update(held.keys)
            finished += 1
        finally:
            held.give_back()

    tasks = [asyncio.create_task(work(*both)) for both in wanted]
    cancelled = [task for task in tasks if chance.random() < 0.3]
    for task in cancelled:
        for _ in range(chance.randrange(6)):
            await asyncio.sleep(0)
        task.cancel()
    async with asyncio.timeout(5):
        await asyncio.gather(*tasks, return_exceptions=True)
    assert finished == sum(not task.cancelled() for task in tasks)
    assert finished >= len(tasks) - len(cancelled)
    assert all(turns.take(key) for key in KEYS)


async def test_turns_come_in_the_order_of_arrival() -> None:
    turns, served = Turns(), list[int]()
    assert turns.take(KEYS[0])

    async def work(number: int) -> None:
        await turns.wait(KEYS[0])
        served.append(number)
        turns.give_back(KEYS[0])

    tasks = [asyncio.create_task(work(number)) for number in range(5)]
    await asyncio.sleep(0)
    turns.give_back(KEYS[0])
    # It came when the line was handed over already.
    assert not turns.take(KEYS[0])
    await asyncio.gather(*tasks)
    assert served == [0, 1, 2, 3, 4]


async def test_who_is_cancelled_at_the_moment_of_the_turn_passes_it_on() -> None:
    turns = Turns()
    assert turns.take(KEYS[0])
    first, second = (asyncio.create_task(turns.wait(KEYS[0])) for _ in range(2))
    await asyncio.sleep(0)
    turns.give_back(KEYS[0])
    first.cancel()
    async with asyncio.timeout(5):
        await second
    assert first.cancelled()


async def test_work_that_many_compose_is_done_once_each(community: Community) -> None:
    """Nobody in the process conflicts: each transaction begins once, and is committed."""
    where, users = await post(community), await people(community, 12)
    await community.gamification_config.set("like_received", 2)
    begun = 0

    async def reward(user: Any) -> None:
        async def work() -> None:
            nonlocal begun
            begun += 1
            await community.likes.like(user.id, "post", where.id)
            await community.points.award(where.author_id, "like_received")
            await community.notifications.notify(where.author_id, "like", actor_id=user.id)

        await community.transaction(work)

    with count_commands(community) as commands:
        await asyncio.gather(*(reward(user) for user in users))
    assert begun == len(users)
    assert [command.name for command in commands].count("commitTransaction") == len(users)
    assert "abortTransaction" not in [command.name for command in commands]
    assert (await community.posts.get(where.id)).like_count == len(users)
    assert (await community.users.get(where.author_id)).points == 2 * len(users)


async def test_a_document_that_comes_late_is_waited_for(community: Community) -> None:
    """Transactions write the same two users in opposite orders: some begin again, and nobody waits forever."""
    one, other = await people(community, 2)

    async def both(first: Any, second: Any) -> None:
        async def work() -> None:
            await community.users.update_profile(first.id, bio=f"{first.id}")
            await asyncio.sleep(0)
            await community.users.update_profile(second.id, bio=f"{first.id}")

        await community.transaction(work)

    async with asyncio.timeout(10):
        await asyncio.gather(*(both(*pair) for pair in [(one, other), (other, one)] * 4))
    assert (await community.users.get(one.id)).bio == (await community.users.get(other.id)).bio


async def test_a_caught_conflict_is_no_success(community: Community) -> None:
    """The work takes the error for any other, and goes on; it is begun again when it has its turn."""
    ada, begun = await person(community), 0
    writing, may_end = asyncio.Event(), asyncio.Event()

    async def first() -> None:
        await community.users.update_profile(ada.id, bio="first")
        writing.set()
        await may_end.wait()

    async def second() -> str | None:
        nonlocal begun
        begun += 1
        await community.users.get(ada.id)
        asyncio.get_running_loop().call_soon(may_end.set)
        with suppress(UnavailableError):
            await community.users.update_profile(ada.id, name="second")
        return (await community.users.get(ada.id)).bio

    holding = asyncio.create_task(community.transaction(first))
    await writing.wait()
    assert await community.transaction(second) == "first"
    await holding
    assert begun == 2
    assert (await community.users.get(ada.id)).name == "second"


async def test_a_cancelled_caller_gives_its_turn_back(community: Community) -> None:
    """While it works, and while it waits."""
    ada = await person(community)
    writing = asyncio.Event()

    async def never() -> None:
        await community.users.update_profile(ada.id, bio="never")
        writing.set()
        await asyncio.Event().wait()

    holding = asyncio.create_task(community.transaction(never))
    await writing.wait()
    waiting = [asyncio.create_task(community.transaction(never)) for _ in range(2)]
    last = asyncio.create_task(community.users.update_profile(ada.id, name="Last"))
    await asyncio.sleep(0.02)
    for task in (waiting[0], holding, waiting[1]):
        task.cancel()
    async with asyncio.timeout(5):
        assert (await last).name == "Last"
    assert (await community.users.get(ada.id)).bio is None


async def _waits_for_another(community: Community, user: Any) -> None:
    """A transaction that awaits a task which needs the same turn; that was started outside of it."""
    asked: asyncio.Queue[asyncio.Future[Any]] = asyncio.Queue()

    async def serve() -> None:
        answer = await asked.get()
        try:
            answer.set_result(await community.users.update_profile(user.id, name="other"))
        except UnavailableError as error:
            answer.set_exception(error)

    async def work() -> None:
        await community.users.update_profile(user.id, bio="mine")
        answer = asyncio.get_running_loop().create_future()
        asked.put_nowait(answer)
        await answer

    server = asyncio.create_task(serve())
    try:
        await community.transaction(work)
    finally:
        await server


async def _never_ends(community: Community, user: Any) -> None:
    async def work() -> None:
        await community.users.update_profile(user.id, bio="mine")
        await asyncio.Event().wait()

    await community.transaction(work)


@pytest.mark.parametrize("stuck", [_waits_for_another, _never_ends])
async def test_work_that_does_not_end(
    community: Community, monkeypatch: pytest.MonkeyPatch, stuck: Callable[[Community, Any], Awaitable[None]]
) -> None:
    """An error says so within the transaction's time, and those behind it go on."""
    ada = await person(community)
    monkeypatch.setattr(connection, "TRANSACTION_SECONDS", 0.3)
    failing = asyncio.create_task(stuck(community, ada))
    await asyncio.sleep(0.05)
    monkeypatch.setattr(connection, "TRANSACTION_SECONDS", 30.0)
    async with asyncio.timeout(10):
        following = asyncio.create_task(community.users.update_profile(ada.id, name="Next"))
        with pytest.raises(UnavailableError, match="did not end in time"):
            await failing
        assert (await following).name == "Next"
    assert (await community.users.get(ada.id)).bio is None


async def test_another_connection_is_a_conflict(community: Community) -> None:
    """It takes no turn of this process or host. The loser does not abort, as the server did, and locks first."""
    where, users = await post(community), await people(community, 2)
    liked, may_end = asyncio.Event(), asyncio.Event()

    async def hold() -> None:
        await other.likes.like(users[0].id, "post", where.id)
        liked.set()
        await may_end.wait()

    async with Community.over(community.database) as other:
        holding = asyncio.create_task(other.transaction(hold))
        await liked.wait()
        with count_commands(community) as commands:
            losing = asyncio.create_task(community.likes.like(users[1].id, "post", where.id))
            while [command.name for command in commands].count("update") < 4:  # noqa: ASYNC110 - nothing tells
                await asyncio.sleep(0.001)
            may_end.set()
            await holding
            assert (await losing).like_count == 2
    names = [command.name for command in commands if command.name != "commitTransaction"]
    assert "abortTransaction" not in names
    # Two attempts, without a turn of the host and with it, read and conflict at their end. Later ones begin with the
    # document.
    second = names.index("update", names.index("update") + 1)
    assert names[second + 1] == "update"
    assert (await community.posts.get(where.id)).revision


async def test_a_refusal_gives_the_turn_to_the_next(community: Community) -> None:
    where, user = await post(community), await person(community)
    nobody = (await person(community)).id
    await community.users.delete(nobody)
    likes = [partial(community.likes.like, id, "post", where.id) for id in (nobody, user.id, nobody)]
    results = await asyncio.gather(*map(community.transaction, likes), return_exceptions=True)
    assert [type(result) is NotFoundError for result in results] == [True, False, True]
    assert (await community.posts.get(where.id)).like_count == 1
