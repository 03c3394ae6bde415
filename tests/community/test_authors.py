"""The copies of a name, written while the name changes."""

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import Context

import pytest
from pymongo.errors import OperationFailure

from datalayer import Community
from datalayer.documents import User
from datalayer.testing import Factories, count_commands
from tests.community.world import person, post, space

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


async def test_who_has_many_copies_can_write_while_they_are_changed(
    community: Community, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are changed in batches, not in one long transaction that everything of the user waits for."""
    monkeypatch.setattr("datalayer.repositories.shared.authors.MANY_COPIES", 3)
    monkeypatch.setattr("datalayer.repositories.users.COPIES_AT_ONCE", 1)
    ada, where = await person(community), await space(community)
    for _ in range(5):
        await post(community, where, ada)
    with count_commands(community) as commands:
        renaming = asyncio.create_task(community.users.update_profile(ada.id, name="Eve"))
        while "commitTransaction" not in [command.name for command in commands]:  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0)
        new = await community.posts.create(where.id, ada.id, content="x", content_html="x")
        assert not renaming.done()
        await renaming
    assert new.author_name == "Eve"
    names = {row["authorName"] async for row in community.database.posts.find({"authorId": ada.id})}
    assert names == {"Eve"}
