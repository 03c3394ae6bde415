"""Group commits: who shares one, in which order, and what a caller's end means for the others."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Any

import pymongo
import pytest

from datalayer import Community
from datalayer.engine.group_commit import GroupCommit
from datalayer.errors import DataLayerError, NotFoundError, OutcomeUnknownError, UnavailableError
from tests.community.world import people, post

inherited: ContextVar[str] = ContextVar("inherited", default="nothing")


class Commits:
    """Records the groups that are committed, and can hold them up.

    Attributes:
        groups: The requests of each commit.
        contexts: The value of `inherited` in each commit.
        started: Set when a commit starts.
        may_end: A commit ends when this is set.
    """

    def __init__(self, community: Community) -> None:
        self.groups: list[list[int]] = []
        self.contexts: list[str] = []
        self.started, self.may_end = asyncio.Event(), asyncio.Event()
        self.may_end.set()
        self._connection = community._connection
        self.group_commit = GroupCommit[str, int, int](self._connection, self._apply, lambda _: ())

    def submit(self, *requests: int, key: str = "key") -> list[asyncio.Task[int]]:
        """Submit the requests, each in a task of its own."""
        return [asyncio.create_task(self.group_commit.submit(key, request)) for request in requests]

    @asynccontextmanager
    async def held_up(self) -> AsyncIterator[asyncio.Task[int]]:
        """Let the request 0 be under way as long as the block lasts."""
        self.may_end.clear()
        (first,) = self.submit(0)
        async with asyncio.timeout(5):
            await self.started.wait()
            yield first
        self.may_end.set()

    async def _apply(self, _: str, requests: Sequence[int]) -> list[int | Exception]:
        assert self._connection.transaction_is_open()
        self.groups.append(list(requests))
        self.contexts.append(inherited.get())
        self.started.set()
        await self.may_end.wait()
        if 13 in requests:
            raise DataLayerError
        return [NotFoundError() if request < 0 else 10 * request for request in requests]


@pytest.fixture
def commits(community: Community) -> Commits:
    """Transactions of a real connection; nothing is sent in them."""
    return Commits(community)


async def results(*tasks: asyncio.Task[Any]) -> list[Any]:
    """What the tasks return or raise; fails where one never ends."""
    async with asyncio.timeout(5):
        return await asyncio.gather(*tasks, return_exceptions=True)


async def test_each_request_is_committed_once_in_order_500_at_a_time(commits: Commits) -> None:
    """Also the first one that is too many for a group."""
    requests = range(100, 1_101)
    assert await results(*commits.submit(*requests)) == [10 * request for request in requests]
    assert commits.groups == [[*range(100, 600)], [*range(600, 1_100)], [1_100]]


async def test_requests_that_arrive_during_a_commit_share_the_next_one(commits: Commits) -> None:
    async with commits.held_up() as first:
        others = commits.submit(1, 2, 3)
        await asyncio.sleep(0)
        assert commits.groups == [[0]]
    assert await results(first, *others) == [0, 10, 20, 30]
    assert commits.groups == [[0], [1, 2, 3]]


async def test_keys_do_not_wait_for_each_other(commits: Commits) -> None:
    async with commits.held_up():
        commits.started.clear()
        (other,) = commits.submit(1, key="other")
        await commits.started.wait()
    assert await results(other) == [10]


async def test_a_request_whose_caller_is_cancelled_while_it_waits_is_not_done(commits: Commits) -> None:
    """Also where nobody else waits; and the others are not affected."""
    async with commits.held_up() as first:
        one, two, three = commits.submit(1, 2, 3)
        await asyncio.sleep(0)
        two.cancel()
        await asyncio.wait([two])
    assert await results(first, one, three) == [0, 10, 30]
    assert commits.groups == [[0], [1, 3]]
    async with commits.held_up() as first:
        (alone,) = commits.submit(4)
        await asyncio.sleep(0)
        alone.cancel()
    assert await results(first) == [0]
    assert commits.groups == [[0], [1, 3], [0]]
    assert alone.cancelled()


async def test_a_caller_that_is_cancelled_during_the_commit_takes_nobody_along(commits: Commits) -> None:
    """The caller that came first included."""
    async with commits.held_up() as first:
        others = commits.submit(1, 2)
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.wait([first])
    assert await results(*others) == [10, 20]
    assert first.cancelled()


async def test_a_requests_error_is_its_callers_and_a_commits_error_is_everybodys(commits: Commits) -> None:
    """Both leave the key usable."""
    one, two = await results(*commits.submit(1, -1))
    assert one == 10
    assert isinstance(two, NotFoundError)
    failed = await results(*commits.submit(2, 13))
    assert [type(error) for error in failed] == [DataLayerError, DataLayerError]
    assert await results(*commits.submit(3)) == [30]


async def test_a_commit_does_not_run_in_a_callers_context(commits: Commits) -> None:
    """A deadline or a transaction of the caller that came first is not the others'."""
    token = inherited.set("the caller's")
    tasks = commits.submit(1)
    inherited.reset(token)
    await results(*tasks)
    assert commits.contexts == ["nothing"]


async def test_a_callers_deadline_is_not_the_others(community: Community) -> None:
    """Here it is over before anything is sent: only that caller's request is withdrawn."""
    users, target = await people(community, 3), await post(community)
    with pymongo.timeout(1e-6):
        first = asyncio.create_task(community.likes.like(users[0].id, "post", target.id))
    others = [asyncio.create_task(community.likes.like(user.id, "post", target.id)) for user in users[1:]]
    withdrawn, *liked = await results(first, *others)
    assert type(withdrawn) is UnavailableError
    assert [result.like_count for result in liked] == [1, 2]


async def test_who_waits_when_the_worker_is_cancelled_is_cancelled(commits: Commits) -> None:
    """As a closing event loop does it: nobody waits forever."""
    async with commits.held_up() as first:
        others = commits.submit(1, 2)
        await asyncio.sleep(0)
        (worker,) = commits.group_commit._workers
        worker.cancel()
        ended = await results(first, *others, worker)
    assert [type(error) for error in ended] == [asyncio.CancelledError] * 4


async def test_a_callers_time_is_over(commits: Commits) -> None:
    """While its request waits, nothing has happened and nothing will; while it is committed, that is not known."""

    async def within(seconds: float, request: int) -> int:
        with pymongo.timeout(seconds):
            return await commits.group_commit.submit("key", request)

    commits.may_end.clear()
    first = asyncio.create_task(within(0.1, 1))
    await commits.started.wait()
    with pytest.raises(UnavailableError, match="before the change was begun") as waiting:
        await within(0.01, 2)
    assert not isinstance(waiting.value, OutcomeUnknownError)
    with pytest.raises(OutcomeUnknownError):
        await first
    commits.may_end.set()
    assert await within(5, 3) == 30
    assert [request for group in commits.groups for request in group] == [1, 3]
