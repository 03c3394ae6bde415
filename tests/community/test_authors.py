"""The copies of a name, written while the name changes."""

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import Context

import pytest
from pymongo.errors import OperationFailure

from datalayer import Community
from datalayer.documents import User
from datalayer.testing import Factories

Prepare = Callable[[Community, User], Awaitable[Callable[[], Awaitable[object]]]]
"""Makes what has to be there, and gives the call that writes a copy of the user's name."""


async def _post(community: Community, user: User) -> Callable[[], Awaitable[object]]:
    space = await Factories(community).space()
    return lambda: community.posts.create(space.id, user.id, content="c", content_html="c")


async def _comment(community: Community, user: User) -> Callable[[], Awaitable[object]]:
    post = await Factories(community).post()
    return lambda: community.comments.create(post.id, user.id, "c")


async def _message(community: Community, user: User) -> Callable[[], Awaitable[object]]:
    conversation = await Factories(community).conversation(user=user)
    return lambda: community.messages.send(conversation.id, user.id, "c")


@pytest.mark.parametrize("prepare", [_post, _comment, _message])
async def test_a_copy_is_not_written_after_the_name_has_changed(community: Community, prepare: Prepare) -> None:
    """A transaction whose snapshot has the old name conflicts, and copies the new one when it is retried."""
    user = await Factories(community).user(name="Ada")
    write, attempts = await prepare(community, user), 0

    async def work() -> object:
        nonlocal attempts
        attempts += 1
        # The first read of a transaction takes its snapshot.
        await community.users.get(user.id)
        if attempts == 1:
            rename = community.users.update_profile(user.id, name="Grace")
            await asyncio.create_task(rename, context=Context())
        return await write()

    copy = await community.transaction(work)
    assert attempts == 2
    assert "Grace" in (getattr(copy, "author_name", None), getattr(copy, "sender_name", None))


@pytest.mark.parametrize("prepare", [_post, _comment, _message])
async def test_a_name_does_not_change_while_it_is_copied(community: Community, prepare: Prepare) -> None:
    """Until the transaction that wrote the copy ends, the user is locked."""
    user = await Factories(community).user(name="Ada")
    write = await prepare(community, user)
    # The first one adds a field to the user: a write in any case.
    await write()

    async def rename() -> None:
        async with community.database.client.start_session() as session, await session.start_transaction():
            await community.database.users.update_one({"_id": user.id}, {"$set": {"name": "Grace"}}, session=session)

    async def work() -> None:
        await write()
        with pytest.raises(OperationFailure, match="WriteConflict"):
            await asyncio.create_task(rename(), context=Context())

    await community.transaction(work)
