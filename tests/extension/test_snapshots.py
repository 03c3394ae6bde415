"""Several reads of one moment."""

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any

import pytest
from pymongo import AsyncMongoClient

from datalayer import Community, Stories
from datalayer.errors import ConcurrentTransactionError, DataLayerError
from datalayer.testing import Factories, count_commands


async def test_all_reads_are_of_one_moment(community: Community) -> None:
    """Whatever is written meanwhile; nested blocks are the same moment, and it costs no round trip."""
    make = Factories(community)
    space = await make.space(name="Before")
    await make.post(space=space)

    async def change() -> None:
        await community.spaces.update(space.id, name="After")
        await make.post(space=space)

    with count_commands(community) as commands:
        async with community.snapshot():
            pass
    assert len(commands) == 0
    async with community.snapshot():
        assert (await community.spaces.get(space.id)).name == "Before"
        await outside(change)
        assert len((await community.posts.feed(space.id)).items) == 1
        async with community.snapshot():
            assert (await community.spaces.get(space.id)).name == "Before"
    assert (await community.spaces.get(space.id)).name == "After"
    assert len((await community.posts.feed(space.id)).items) == 2


async def test_a_method_with_a_snapshot_of_its_own_reads_the_same_moment(community: Community) -> None:
    make = Factories(community)
    course = await make.course()
    async with community.snapshot():
        assert (await community.courses.outline(course.id)).modules == []
        await outside(lambda: make.module(course=course))
        assert (await community.courses.outline(course.id)).modules == []
    assert len((await community.courses.outline(course.id)).modules) == 1


async def test_nothing_is_written_in_one(community: Community) -> None:
    """Neither by one statement, nor in a transaction, nor by a group that commits together."""
    make = Factories(community)
    post, ada = await make.post(), await make.user()
    async with community.snapshot():
        for write in (
            lambda: community.users.update_profile(ada.id, bio="Hello"),
            lambda: community.users.create(name="Bob"),
            lambda: community.users.set_role(ada.id, "moderator"),
            lambda: community.likes.like(ada.id, "post", post.id),
            lambda: community.transaction(make.user),
        ):
            with pytest.raises(DataLayerError, match=r"A snapshot only reads\. .*`transaction` instead"):
                await write()
        assert (await community.posts.get(post.id)).like_count == 0
    assert (await community.likes.like(ada.id, "post", post.id)).like_count == 1


async def test_in_a_transaction_it_is_the_transaction(community: Community) -> None:
    """Which sees its own writes."""

    async def work() -> str | None:
        ada = await community.users.create(name="Ada")
        async with community.snapshot():
            seen = await community.users.get(ada.id)
            await community.users.update_profile(ada.id, bio="Hello")
        return seen.name

    assert await community.transaction(work) == "Ada"


async def test_tasks_do_not_share_one(community: Community) -> None:
    """A session of the driver is no matter of several tasks; also not after its end."""
    ada = await Factories(community).user()
    release = asyncio.Event()

    async def late() -> None:
        await release.wait()
        await community.users.get(ada.id)

    async with community.snapshot():
        with pytest.raises(ConcurrentTransactionError, match="started inside a snapshot of another task"):
            await asyncio.gather(community.users.get(ada.id))
        task = asyncio.create_task(late())
        assert (await community.users.get(ada.id)) == ada
    release.set()
    with pytest.raises(ConcurrentTransactionError, match="which is over"):
        await task


async def test_it_is_of_one_client(community: Community, server_uri: str) -> None:
    async with AsyncMongoClient(server_uri) as client, Stories.over(client["snapshots"], schema="skip") as other:
        await refused_in(community, other)


async def refused_in(community: Community, other: Stories) -> None:
    async with community.snapshot():
        with pytest.raises(ConcurrentTransactionError, match="cannot span two clients"):
            await other.stories.list()


async def outside(work: Callable[[], Coroutine[Any, Any, object]]) -> None:
    """Do the work as somebody who has nothing to do with the task that waits for it."""
    await asyncio.get_running_loop().create_task(work(), context=Context())
