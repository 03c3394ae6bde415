"""Comments: two levels, counted exactly, threads in a fixed number of round trips."""

import asyncio
import sys
from typing import Any

import pytest
from bson import ObjectId

from datalayer import Community
from datalayer.engine.ids import new_object_id
from datalayer.errors import InvalidInputError, NotFoundError
from datalayer.ids import CommentId, PostId, UserId
from datalayer.testing import count_commands
from tests.commands import keys_and_stages
from tests.community.test_pages import read_all
from tests.community.world import people, person, post


async def test_nobody_replies_below_a_deleted_comment(community: Community) -> None:
    """Neither to it nor to a reply to it, although those are still listed."""
    on, author = await post(community), await person(community)
    top = await community.comments.create(on.id, author.id, "top")
    reply = await community.comments.create(on.id, author.id, "reply", parent_id=top.id)
    await community.comments.delete(top.id)
    for parent in (top, reply):
        with pytest.raises(NotFoundError, match=str(top.id)):
            await community.comments.create(on.id, author.id, "late", parent_id=parent.id)
    assert (await community.posts.get(on.id)).comment_count == 1
    await community.comments.restore(top.id)
    assert (await community.comments.create(on.id, author.id, "again", parent_id=reply.id)).parent_id == top.id


async def test_replies_are_two_levels_deep(community: Community) -> None:
    """A reply to a reply belongs to the top-level comment."""
    target, user = await post(community), await person(community)
    top = await community.comments.create(target.id, user.id, "top")
    reply = await community.comments.create(target.id, user.id, "reply", parent_id=top.id)
    deeper = await community.comments.create(target.id, user.id, "deeper", parent_id=reply.id)
    assert (top.parent_id, reply.parent_id, deeper.parent_id) == (None, top.id, top.id)
    assert (top.like_count, top.edited_at, top.deleted_at) == (0, None, None)
    (thread,) = (await community.comments.thread(target.id)).items
    assert (thread.comment, thread.replies) == (top, [reply, deeper])
    assert (await community.comments.replies(top.id)).items == [reply, deeper]
    assert (await community.posts.get(target.id)).comment_count == 3


async def test_a_parent_is_of_the_same_post(community: Community) -> None:
    target, other, user = await post(community), await post(community), await person(community)
    foreign = await community.comments.create(other.id, user.id, "there")
    await community.comments.create(other.id, user.id, "there, too")
    with pytest.raises(InvalidInputError, match=r"^parent_id: .*another post"):
        await community.comments.create(target.id, user.id, "here", parent_id=foreign.id)
    await community.comments.delete(foreign.id)
    for parent in (foreign.id, CommentId(ObjectId())):
        with pytest.raises(NotFoundError):
            await community.comments.create(other.id, user.id, "here", parent_id=parent)
    assert (await community.posts.get(target.id)).comment_count == 0


async def test_the_count_follows_by_many_at_once(community: Community) -> None:
    """Comments, deletions and restorations in a heap; a deletion counts once however often it is asked for."""
    target, users = await post(community), await people(community, 6)
    made = await asyncio.gather(*(community.comments.create(target.id, user.id, "c") for user in users))
    assert (await community.posts.get(target.id)).comment_count == 6
    results = await asyncio.gather(*(community.comments.delete(made[0].id) for _ in range(4)), return_exceptions=True)
    assert sum(isinstance(result, NotFoundError) for result in results) == 3
    assert (await community.posts.get(target.id)).comment_count == 5
    await asyncio.gather(*(community.comments.restore(made[0].id) for _ in range(4)))
    assert (await community.posts.get(target.id)).comment_count == 6


@pytest.mark.quick("comments")
async def test_a_deleted_comment_with_replies_stays_empty(community: Community) -> None:
    """Without replies it goes; and when its replies go, so does it."""
    target, user = await post(community), await person(community)
    kept = await community.comments.create(target.id, user.id, "kept")
    reply = await community.comments.create(target.id, user.id, "reply", parent_id=kept.id)
    gone = await community.comments.create(target.id, user.id, "gone")
    await community.comments.delete(kept.id)
    await community.comments.delete(gone.id)
    (thread,) = (await community.comments.thread(target.id)).items
    assert (thread.comment.id, thread.comment.content, thread.replies) == (kept.id, "", [reply])
    assert (await community.comments.get(kept.id, include_deleted=True)).content == "kept"
    await community.comments.delete(reply.id)
    assert (await community.comments.thread(target.id)).items == []
    assert (await community.comments.replies(kept.id)).items == []


async def test_a_deleted_reply_is_not_in_its_thread(community: Community) -> None:
    """Nor is it edited or deleted again."""
    target, user = await post(community), await person(community)
    top = await community.comments.create(target.id, user.id, "top")
    gone, kept = [await community.comments.create(target.id, user.id, word, parent_id=top.id) for word in "ab"]
    await community.comments.delete(gone.id)
    for call in (community.comments.edit(gone.id, "new"), community.comments.delete(gone.id)):
        with pytest.raises(NotFoundError):
            await call
    (thread,) = (await community.comments.thread(target.id)).items
    assert thread.replies == (await community.comments.replies(top.id)).items == [kept]


async def test_comments_go_and_come_back_with_their_post(community: Community) -> None:
    """Those of others stay; one that is deleted or restored meanwhile is counted."""
    gone, other, user = await post(community), await post(community), await person(community)
    tops = [await community.comments.create(target.id, user.id, "top") for target in (gone, other)]
    replies = [await community.comments.create(top.post_id, user.id, "reply", parent_id=top.id) for top in tops]
    await community.posts.delete(gone.id)
    for target, top, found in ((gone, tops[0], []), (other, tops[1], [replies[1]])):
        assert [thread.replies for thread in (await community.comments.thread(target.id)).items] == [found] * len(found)
        assert (await community.comments.replies(top.id)).items == found
    assert (await community.comments.by_author(user.id)).items == [replies[1], tops[1]]
    await community.comments.delete(replies[0].id)
    assert (await community.posts.restore(gone.id)).comment_count == 1
    await community.posts.delete(gone.id)
    await community.comments.restore(replies[0].id)
    assert (await community.posts.restore(gone.id)).comment_count == 2
    assert (await community.comments.replies(tops[0].id)).items == [replies[0]]


async def test_a_thread_page_is_three_round_trips(community: Community) -> None:
    """Whatever its size, without a sort or a scan."""
    target, user = await post(community), await person(community)
    example = (await community.comments.create(target.id, user.id, "c")).to_wire()
    tops = [example | {"_id": new_object_id()} for _ in range(150)]
    replies = [example | {"_id": new_object_id(), "parentId": top["_id"]} for top in tops for _ in range(3)]
    await community.database.comments.insert_many(tops + replies)
    with count_commands(community) as commands:
        page = await community.comments.thread(target.id, limit=100)
    assert [command.name for command in commands] == ["find", "aggregate", "find"]
    assert [len(thread.replies) for thread in page.items] == [3] * 100
    for command in commands[1:]:
        _, stages = await keys_and_stages(community.database, command)
        assert not {"SORT", "COLLSCAN"} & stages
    threads = await read_all(community.comments.thread, target.id, limit=40)
    assert [thread.comment.id for thread in threads] == [top["_id"] for top in reversed(tops)] + [example["_id"]]


async def test_by_author_lists_what_is_to_be_seen(community: Community) -> None:
    author, other, target = await person(community), await person(community), await post(community)
    mine = [await community.comments.create(target.id, author.id, f"{number}") for number in range(5)]
    await community.comments.create(target.id, other.id, "other")
    await community.comments.delete(mine[1].id)
    with count_commands(community) as commands:
        await community.comments.by_author(author.id)
    assert len(commands) == 1
    assert [item.content for item in await read_all(community.comments.by_author, author.id)] == ["4", "3", "2", "0"]


async def test_an_edit_sets_edited_at(community: Community) -> None:
    target, user = await post(community), await person(community)
    made = await community.comments.create(target.id, user.id, "c")
    edited = await community.comments.edit(made.id, "d")
    assert (made.edited_at, edited.content) == (None, "d")
    assert edited.edited_at is not None


async def test_what_a_comment_points_at_must_exist(community: Community) -> None:
    target, gone, user = await post(community), await post(community), await person(community)
    await community.posts.delete(gone.id)
    wrong = ((PostId(ObjectId()), user.id), (gone.id, user.id), (target.id, UserId(ObjectId())))
    for post_id, author_id in wrong:
        with pytest.raises(NotFoundError):
            await community.comments.create(post_id, author_id, "c")
    assert await community.database.comments.count_documents({}) == 0
    assert (await community.posts.get(target.id)).comment_count == 0


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"post_id": "5" * 24}, "post_id"),
        ({"author_id": {"$gt": ""}}, "author_id"),
        ({"content": ""}, "content"),
        ({"content": "x" * 10_001}, "content"),
        ({"content": {"$gt": ""}}, "content"),
        ({"content": "\0"}, "content"),
        ({"parent_id": "5" * 24}, "parent_id"),
    ],
)
async def test_bad_input(community: Community, arguments: dict[str, Any], field: str) -> None:
    target = await post(community)
    good = {"post_id": target.id, "author_id": target.author_id, "content": "c"}
    with pytest.raises(InvalidInputError) as error:
        await community.comments.create(**(good | arguments))
    assert error.value.field == field
    assert await community.database.comments.count_documents({}) == 0


_WORKER = """
import asyncio, sys
from bson import ObjectId
from pymongo import AsyncMongoClient
from datalayer import Community

async def main():
    uri, name, post_id, author_id, parent_id = sys.argv[1:]
    async with AsyncMongoClient(uri) as client, Community.over(client[name], schema="skip") as community:
        # Its first id, as any application has made some before.
        print(await community.users.find(ObjectId()), flush=True)
        while line := await asyncio.to_thread(sys.stdin.readline):
            await community.comments.create(
                ObjectId(post_id), ObjectId(author_id), line.strip(), parent_id=ObjectId(parent_id)
            )
            print("done", flush=True)

asyncio.run(main())
"""


async def test_replies_of_several_processes_are_in_the_order_of_creation(community: Community, server_uri: str) -> None:
    """Three workers reply in turns, many times within a second."""
    target, user = await post(community), await person(community)
    top = await community.comments.create(target.id, user.id, "top")
    arguments = [server_uri, community.database.name, str(target.id), str(user.id), str(top.id)]
    pipe = asyncio.subprocess.PIPE
    workers = [
        await asyncio.create_subprocess_exec(sys.executable, "-c", _WORKER, *arguments, stdin=pipe, stdout=pipe)
        for _ in range(3)
    ]
    for worker in workers:
        assert worker.stdout is not None
        await worker.stdout.readline()
    for number in range(12):
        worker = workers[number % 3]
        assert worker.stdin is not None
        assert worker.stdout is not None
        worker.stdin.write(f"{number}\n".encode())
        assert await worker.stdout.readline() == b"done\n"
    for worker in workers:
        await worker.communicate(b"")
    replies = (await community.comments.replies(top.id)).items
    assert [reply.content for reply in replies] == [str(number) for number in range(12)]
