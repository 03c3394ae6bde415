"""In a transaction a method happens as a whole, or the transaction does not happen."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
from bson import ObjectId
from pymongo import AsyncMongoClient

from datalayer import Community
from datalayer.documents import Comment
from datalayer.engine.clock import system_clock
from datalayer.errors import AlreadyExistsError, DataLayerError, InvalidInputError, NotFoundError
from datalayer.ids import CommentId, PostId, UserId
from datalayer.testing import Factories, open_database
from examples.lending import AlreadyLentError, Lending


class Clock:
    """A clock that raises an error when it is told to."""

    def __init__(self) -> None:
        self.error: BaseException | None = None

    def __call__(self) -> int:
        """The time, or the error."""
        if self.error is not None:
            raise self.error
        return system_clock()


@pytest.fixture(params=["server", "memory"])
async def backend(request: pytest.FixtureRequest, community: Community) -> AsyncIterator[tuple[Community, Clock]]:
    """A community whose clock can fail, on either backend."""
    clock = Clock()
    if request.param == "server":
        async with Community.over(community.database, schema="skip", clock=clock) as opened:
            yield opened, clock
    else:
        async with open_database(Community, memory=True, clock=clock) as opened:
            yield opened, clock


async def _comment(community: Community) -> Comment:
    return await Factories(community).comment()


@pytest.mark.parametrize("error", [KeyboardInterrupt(), GeneratorExit(), asyncio.CancelledError(), ValueError()])
async def test_an_error_after_a_write_undoes_the_transaction_that_catches_it(
    backend: tuple[Community, Clock], error: BaseException
) -> None:
    """`comments.create` has counted the comment when it asks the clock: the counter is not committed without it."""
    community, clock = backend
    comment = await _comment(community)

    async def work() -> str:
        clock.error = error
        with suppress(type(error)):
            await community.comments.create(comment.post_id, comment.author_id, "Hello")
        clock.error = None
        return "as if nothing had happened"

    with pytest.raises(DataLayerError, match="undone") as undone:
        await community.transaction(work)
    assert undone.value.__cause__ is error
    assert (await community.posts.get(comment.post_id)).comment_count == 1


async def test_nothing_more_can_be_done_after_it(backend: tuple[Community, Clock]) -> None:
    """Not even what would succeed, and the error names what has happened."""
    community, clock = backend
    comment = await _comment(community)

    async def work() -> None:
        clock.error = ZeroDivisionError()
        with pytest.raises(ZeroDivisionError):
            await community.comments.create(comment.post_id, comment.author_id, "Hello")
        clock.error = None
        with pytest.raises(DataLayerError, match="ZeroDivisionError"):
            await community.users.create()
        raise LookupError

    with pytest.raises(LookupError):
        await community.transaction(work)
    assert (await community.posts.get(comment.post_id)).comment_count == 1


async def test_a_refusal_leaves_the_transaction_as_it_was(backend: tuple[Community, Clock]) -> None:
    """Before the first write that changes data: arguments, what is missing, rules; a lock is no such write."""
    community, _ = backend
    comment, missing = await _comment(community), ObjectId()

    async def work() -> None:
        with pytest.raises(InvalidInputError):
            await community.comments.edit(comment.id, "")
        with pytest.raises(NotFoundError):
            await community.comments.delete(CommentId(missing))
        with pytest.raises(NotFoundError):
            await community.comments.create(comment.post_id, UserId(missing), "Hello")
        with pytest.raises(NotFoundError, match="Post"):
            # The author is locked by then.
            await community.comments.create(PostId(missing), comment.author_id, "Hello")
        await community.comments.edit(comment.id, "Edited")

    await community.transaction(work)
    assert (await community.comments.get(comment.id)).content == "Edited"


@pytest.mark.parametrize("wrote", [True, False])
async def test_a_part_that_wrote_and_failed_cannot_be_caught(backend: tuple[Community, Clock], *, wrote: bool) -> None:
    """MongoDB has no savepoints: a nested transaction is undone with the whole, or has nothing to undo."""
    community, _ = backend
    comment = await _comment(community)

    async def inner() -> None:
        if wrote:
            await community.comments.edit(comment.id, "Half")
        raise LookupError

    async def work() -> None:
        await community.comments.edit(comment.id, "Edited")
        with pytest.raises(LookupError):
            await community.transaction(inner)

    if wrote:
        with pytest.raises(DataLayerError, match="undone") as undone:
            await community.transaction(work)
        assert isinstance(undone.value.__cause__, LookupError)
    else:
        await community.transaction(work)
    assert ((await community.comments.get(comment.id)).content == "Edited") is not wrote


async def test_a_duplicate_that_a_repository_translates_itself(client: AsyncMongoClient) -> None:
    """The server has undone the transaction, whatever became of the driver's error on its way."""
    async with Lending.over(client["lending_in_transactions"]) as lending:
        saw = await lending.tools.create("saw")
        await lending.tools.lend(saw.id, "Ada")

        async def work() -> None:
            await lending.tools.create("drill")
            with pytest.raises(AlreadyLentError):
                await lending.tools.lend(saw.id, "Bob")

        async with asyncio.timeout(5):
            # It is not repeated for 30 s, as a conflict is.
            with pytest.raises(DataLayerError, match="undone"):
                await lending.transaction(work)
        assert await lending.database["tools"].count_documents({}) == 1
    await client.drop_database("lending_in_transactions")


async def test_what_leaves_the_work_is_what_is_raised(community: Community) -> None:
    """Also where the transaction is doomed by then: nothing was caught."""
    await community.users.create(auth_user_id="ada")

    async def work() -> None:
        await community.users.create(name="Bob")
        await community.users.create(auth_user_id="ada")

    with pytest.raises(AlreadyExistsError):
        await community.transaction(work)
    assert len((await community.users.directory()).items) == 1


async def test_an_error_in_another_task_is_not_the_transactions(community: Community) -> None:
    """A task that was started inside is refused, and the transaction goes on."""

    async def work() -> None:
        with pytest.raises(DataLayerError):
            await asyncio.create_task(community.users.create())
        cancelled = asyncio.create_task(community.users.create())
        cancelled.cancel()
        await asyncio.wait([cancelled])
        await community.users.create(name="Ada")

    await community.transaction(work)
    assert [user.name for user in (await community.users.directory()).items] == ["Ada"]
