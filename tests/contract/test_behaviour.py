"""What a user of the repositories relies on, on both backends."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from bson import ObjectId
from pymongo.errors import WriteError

from datalayer import Community
from datalayer.engine.ids import new_object_id
from datalayer.errors import (
    AlreadyExistsError,
    ConcurrentTransactionError,
    DataLayerError,
    InvalidCursorError,
    InvalidInputError,
    NotFoundError,
    RuleViolationError,
)
from datalayer.ids import PostId, SpaceId, UserId
from datalayer.testing.memory import open_in_memory


@pytest.fixture(params=["server", "memory"])
async def db(request: pytest.FixtureRequest, community: Community) -> AsyncIterator[Community]:
    """An empty community on a server, and in memory."""
    if request.param == "server":
        yield community
    else:
        async with open_in_memory(Community) as opened:
            yield opened


async def _place(db: Community) -> tuple[SpaceId, UserId]:
    """A space, and somebody to write in it."""
    return (await db.spaces.create(name="General")).id, (await db.users.create(name="Ada")).id


async def _post(db: Community) -> PostId:
    space, author = await _place(db)
    return (await db.posts.create(space, author, content="Hello", content_html="<p>Hello</p>")).id


async def test_what_is_created_is_there(db: Community) -> None:
    ada = await db.users.create(name="Ada", bio="Counts")
    assert await db.users.get(ada.id) == await db.users.find(ada.id) == ada
    assert await db.users.get_many([ada.id, UserId(ObjectId())]) == {ada.id: ada}


async def test_what_is_not_there_is_none_or_an_error(db: Community) -> None:
    nobody = UserId(ObjectId())
    assert await db.users.find(nobody) is None
    for call in (db.users.get(nobody), db.users.delete(nobody), db.users.update_profile(nobody, bio="x")):
        with pytest.raises(NotFoundError):
            await call


async def test_a_change_leaves_the_other_fields_alone_and_none_removes(db: Community) -> None:
    ada = await db.users.create(name="Ada", bio="Counts")
    changed = await db.users.update_profile(ada.id, bio=None)
    assert (changed.name, changed.bio) == ("Ada", None)
    assert await db.users.get(ada.id) == changed


async def test_what_is_returned_is_a_copy(db: Community) -> None:
    id = await _post(db)
    (await db.posts.get(id)).content = "changed"
    assert (await db.posts.get(id)).content == "Hello"


async def test_what_is_deleted_can_be_restored(db: Community) -> None:
    id = await _post(db)
    await db.posts.delete(id)
    assert await db.posts.find(id) is None
    assert (await db.posts.get(id, include_deleted=True)).deleted_at is not None
    assert (await db.posts.restore(id)).deleted_at is None
    assert (await db.posts.get(id)).content == "Hello"


@pytest.mark.parametrize("limit", [1, 2, 5])
@pytest.mark.parametrize("order", ["newest", "oldest"])
async def test_pages_have_everything_once_in_order(db: Community, limit: int, order: str) -> None:
    space, author = await _place(db)
    ids = [(await db.posts.create(space, author, content="x", content_html="x")).id for _ in range(5)]
    seen, after = [], None
    while True:
        page = await db.posts.in_space(space, order=order, limit=limit, after=after)
        seen += [post.id for post in page.items]
        if (after := page.next) is None:
            break
    assert seen == (ids if order == "oldest" else ids[::-1])


async def test_a_cursor_is_good_for_its_own_list_only(db: Community) -> None:
    space, author = await _place(db)
    for _ in range(2):
        await db.posts.create(space, author, content="x", content_html="x")
    cursor = (await db.posts.in_space(space, limit=1)).next
    with pytest.raises(InvalidCursorError):
        await db.posts.by_author(author, after=cursor)


async def test_a_second_one_is_refused_by_the_name_of_the_index(db: Community) -> None:
    await db.users.create(auth_user_id="ada")
    with pytest.raises(AlreadyExistsError) as refused:
        await db.users.create(auth_user_id="ada")
    assert (refused.value.index, refused.value.fields) == ("by_authUserId", {"authUserId": "ada"})
    # The index is partial: it says nothing of users without an account.
    await db.users.create()
    await db.users.create()


async def test_a_partial_unique_index_is_about_what_is_in_it_now(db: Community) -> None:
    post, ada = await _post(db), (await db.users.create()).id
    await db.reports.file(ada, "post", post, "spam")
    with pytest.raises(AlreadyExistsError) as refused:
        await db.reports.file(ada, "post", post, "spam")
    assert refused.value.index == "by_reporterId_and_targetType_and_targetId"
    await db.database["reports"].update_one({"reporterId": ada}, {"$set": {"status": "resolved"}})
    await db.reports.file(ada, "post", post, "again")


async def test_two_have_one_conversation_whoever_opens_it(db: Community) -> None:
    one, other = (await db.users.create()).id, (await db.users.create()).id
    opened = await asyncio.gather(*(db.conversations.open(*pair) for pair in [(one, other), (other, one)] * 5))
    assert len({conversation.id for conversation in opened}) == 1


async def test_who_reads_without_a_pause_lets_others_write(db: Community) -> None:
    post = await _post(db)
    edit = asyncio.create_task(db.posts.edit(post, content="Seen"))
    while (await db.posts.get(post)).content != "Seen":
        pass
    await edit


async def test_invalid_arguments_are_refused_by_name(db: Community) -> None:
    space, author = await _place(db)
    with pytest.raises(InvalidInputError) as refused:
        await db.posts.create(space, author, content=" ", content_html="x")
    assert refused.value.field == "content"
    with pytest.raises(InvalidInputError):
        await db.posts.get({"$gt": ""})  # type: ignore[arg-type]
    assert (await db.posts.in_space(space)).items == []


@pytest.mark.parametrize("wrong", [{"nickname": "x"}, {"name": None}, {"points": True}, {"role": "king"}])
async def test_the_schema_refuses_what_no_document_may_be(db: Community, wrong: dict[str, object]) -> None:
    wire = (await db.users.create(name="Ada")).to_wire()
    users = db.database["users"]
    with pytest.raises(WriteError) as refused:
        await users.insert_one({**wire, "_id": new_object_id(), **wrong})
    assert refused.value.code == 121
    assert await users.find().to_list() == [wire]


async def test_counters_follow(db: Community) -> None:
    post, ada = await _post(db), (await db.users.create()).id
    comments = await asyncio.gather(*(db.comments.create(post, ada, "Nice") for _ in range(5)))
    await asyncio.gather(*(db.comments.delete(comment.id) for comment in comments[:2]))
    await db.comments.create(post, ada, "Yes", parent_id=comments[2].id)
    assert (await db.posts.get(post)).comment_count == 4


async def test_a_transaction_gives_its_result_and_all_of_it_stays(db: Community) -> None:
    post = await db.transaction(lambda: _post(db))
    assert (await db.posts.get(post)).content == "Hello"


async def test_of_a_transaction_that_fails_nothing_stays(db: Community) -> None:
    post, ada = await _post(db), await db.users.create(name="Ada", auth_user_id="ada")
    before = [await db.posts.get(post), await db.users.get(ada.id), await db.spaces.list()]

    async def work() -> None:
        await db.comments.create(post, ada.id, "Nice")
        await db.posts.delete(post)
        await db.spaces.create(name="New")
        await db.users.delete(ada.id)
        await db.users.create(auth_user_id="ada")
        raise RuntimeError

    with pytest.raises(RuntimeError):
        await db.transaction(work)
    assert [await db.posts.get(post), await db.users.get(ada.id), await db.spaces.list()] == before
    # What is unique is free again, or taken again.
    with pytest.raises(AlreadyExistsError):
        await db.users.create(auth_user_id="ada")


async def test_a_broken_rule_undoes_the_transaction_that_it_leaves(db: Community) -> None:
    ada = await db.users.create(name="Ada", role="admin")

    async def work() -> None:
        await db.users.update_profile(ada.id, bio="Gone soon")
        await db.users.set_role(ada.id, "member")

    with pytest.raises(RuleViolationError):
        await db.transaction(work)
    assert (await db.users.get(ada.id)).bio is None


async def test_after_a_duplicate_nothing_more_can_be_done_in_a_transaction(db: Community) -> None:
    await db.users.create(auth_user_id="ada")

    async def work() -> None:
        with pytest.raises(AlreadyExistsError):
            await db.users.create(auth_user_id="ada")
        await db.users.create(name="Bob")

    with pytest.raises(DataLayerError, match="undone"):
        await db.transaction(work)
    assert len((await db.users.directory()).items) == 1


async def test_of_a_transaction_that_is_cancelled_nothing_stays(db: Community) -> None:
    post, written = await _post(db), asyncio.Event()

    async def work() -> None:
        await db.posts.edit(post, content="Undone")
        written.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(db.transaction(work))
    await written.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await db.posts.edit(post, title="Free")).content == "Hello"


async def test_tasks_do_not_share_a_transaction(db: Community) -> None:
    async def work() -> None:
        await asyncio.create_task(db.users.create(name="Ada"))

    with pytest.raises(ConcurrentTransactionError):
        await db.transaction(work)


async def test_nobody_sees_what_may_be_undone(db: Community) -> None:
    post, written = await _post(db), asyncio.Event()

    async def read() -> str:
        await written.wait()
        return (await db.posts.get(post)).content

    async def work() -> None:
        await db.posts.edit(post, content="Undone")
        written.set()
        for _ in range(5):
            await asyncio.sleep(0)
        raise RuntimeError

    reader = asyncio.create_task(read())
    with pytest.raises(RuntimeError):
        await db.transaction(work)
    assert await reader == "Hello"


async def test_one_of_many_that_change_the_same_wins_each_time(db: Community) -> None:
    """Nothing is lost where tasks change one thing in transactions of their own."""
    await db.gamification_config.set("post", 3)
    ada = await db.users.create(name="Ada")
    causes = [str(number) for number in (*range(8), *range(4))]
    awards = [db.points.award(ada.id, "post", reference_type="post", reference_id=cause) for cause in causes]
    assert sum(award is not None for award in await asyncio.gather(*awards)) == 8
    assert (await db.users.get(ada.id)).points == 24
