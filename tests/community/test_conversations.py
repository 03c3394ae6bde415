"""Conversations: one for each pair, and an inbox that costs the same however full it is."""

import asyncio
from functools import partial
from typing import Any

import pytest
from bson import ObjectId

from datalayer import Community
from datalayer.documents import Conversation, User
from datalayer.errors import InvalidCursorError, InvalidInputError, NotFoundError, SelfConversationError
from datalayer.ids import ConversationId, UserId
from datalayer.testing import FrozenClock, count_commands
from tests.commands import keys_and_stages
from tests.community.test_pages import read_all
from tests.community.world import people
from tests.seeding.invariants import violations


async def _inbox(community: Community, user: User, count: int, *, unread: int = 2) -> list[ObjectId]:
    """Give the user so many conversations, the newest first, each with new messages, read, own and deleted ones."""
    ids = [ObjectId() for _ in range(count)]
    conversations: list[dict[str, Any]] = []
    messages: list[dict[str, Any]] = []
    for number, id in enumerate(ids):
        other = ObjectId()
        # Neighbours share a time, so that the order among equals matters.
        at = 10_000 - number // 2
        row = {"_id": id, "participantIds": sorted([user.id, other]), "lastMessageAt": at, "lastMessagePreview": "hi"}
        conversations.append(row)
        message = {"conversationId": id, "senderId": other, "senderName": "Other", "content": "hi", "createdAt": at}
        messages += [dict(message) for _ in range(unread)]
        messages += [message | {"readAt": at}, message | {"deletedAt": at}, message | {"senderId": user.id}]
    await community.database.conversations.insert_many(conversations)
    await community.database.messages.insert_many(messages)
    ordered = sorted(conversations, key=lambda row: (row["lastMessageAt"], row["_id"]), reverse=True)
    return [row["_id"] for row in ordered]


@pytest.mark.quick("conversations")
async def test_a_conversation_is_one_for_the_pair(community: Community) -> None:
    """Whoever opens it: the two in ascending order, as new as it is, and without a preview."""
    one, other = await people(community, 2)
    assert await community.conversations.between(one.id, other.id) is None
    opened = await community.conversations.open(other.id, one.id)
    assert opened.participant_ids == sorted([one.id, other.id])
    assert opened.last_message_at >= one.created_at
    assert opened.last_message_preview is None
    assert await community.conversations.open(one.id, other.id) == opened
    assert await community.conversations.between(one.id, other.id) == opened
    assert await community.conversations.between(other.id, one.id) == opened
    assert await community.conversations.get(opened.id) == opened
    assert await community.conversations.between(one.id, one.id) is None


async def test_many_who_open_it_at_once_have_one(community: Community) -> None:
    """From both sides, by plain calls and inside transactions."""
    for _ in range(5):
        one, other = await people(community, 2)
        sides = [(one.id, other.id), (other.id, one.id)] * 8
        plain = [community.conversations.open(*side) for side in sides]
        inside = [community.transaction(partial(community.conversations.open, *side)) for side in sides[:8]]
        opened: list[Conversation] = await asyncio.gather(*plain, *inside)
        assert len({conversation.id for conversation in opened}) == 1
    assert await community.database.conversations.count_documents({}) == 5
    assert await violations(community.database) == []


async def test_round_trips_of_opening(community: Community) -> None:
    """3 for a new one, 1 for one that exists, by the unique index."""
    one, other = await people(community, 2)
    with count_commands(community) as commands:
        await community.conversations.open(one.id, other.id)
    assert [command.name for command in commands] == ["find", "find", "insert"]
    with count_commands(community) as commands:
        await community.conversations.open(one.id, other.id)
    (command,) = commands
    assert await keys_and_stages(community.database, command) == (1, {"LIMIT", "FETCH", "IXSCAN"})


async def test_a_conversation_needs_two_different_people_who_exist(community: Community) -> None:
    user, gone = await people(community, 2)
    with pytest.raises(SelfConversationError):
        await community.conversations.open(user.id, user.id)
    await community.users.delete(gone.id)
    for pair in ((user.id, gone.id), (gone.id, user.id)):
        with pytest.raises(NotFoundError, match=str(gone.id)):
            await community.conversations.open(*pair)
    assert await community.database.conversations.count_documents({}) == 0


async def test_the_inbox_follows_the_newest_message(community: Community, datalayer_clock: FrozenClock) -> None:
    """Each entry has the other one and what that one wrote and was not read."""
    me, *others = await people(community, 4)
    opened = [await community.conversations.open(me.id, other.id) for other in others]
    for turn in (2, 0, 1, 0):
        await community.messages.send(opened[turn].id, others[turn].id, "hello")
        datalayer_clock.advance(1)
    await community.messages.send(opened[1].id, me.id, "hello yourself")
    inbox = (await community.conversations.inbox(me.id)).items
    assert [(entry.conversation.id, entry.other_id, entry.unread) for entry in inbox] == [
        (opened[number].id, others[number].id, unread) for number, unread in ((1, 1), (0, 2), (2, 1))
    ]
    assert await community.conversations.unread_count(me.id) == 4
    assert [entry.unread for entry in (await community.conversations.inbox(others[1].id)).items] == [1]
    await community.messages.mark_read(opened[0].id, me.id)
    assert await community.conversations.unread_count(me.id) == 2
    assert (await community.conversations.inbox(UserId(ObjectId()))).items == []
    assert await community.conversations.unread_count(UserId(ObjectId())) == 0


async def test_the_inbox_page_by_page_is_the_whole_inbox(community: Community) -> None:
    """Once each and in order, also among equal times; also inside a transaction."""
    me, stranger = await people(community, 2)
    expected = await _inbox(community, me, 23)
    await _inbox(community, stranger, 5)
    for limit in (1, 4, 23, 100):
        entries = await read_all(community.conversations.inbox, me.id, limit=limit)
        assert [entry.conversation.id for entry in entries] == expected
        assert {entry.unread for entry in entries} == {2}
    read = partial(read_all, community.conversations.inbox, me.id, limit=10)
    assert [entry.conversation.id for entry in await community.transaction(read)] == expected
    cursor = (await community.conversations.inbox(me.id, limit=2)).next
    with pytest.raises(InvalidCursorError):
        await community.conversations.inbox(stranger.id, after=cursor)


async def test_the_inbox_is_two_round_trips_at_any_size(community: Community) -> None:
    """An index key for each entry and each unread message, and few more; no sort and no scan, at any depth."""
    me, stranger = await people(community, 2)
    await _inbox(community, me, 230, unread=3)
    await _inbox(community, stranger, 100)
    after = None
    for _ in range(2):
        with count_commands(community) as commands:
            page = await community.conversations.inbox(me.id, limit=100, after=after)
        assert [command.name for command in commands] == ["find", "aggregate"]
        assert {entry.unread for entry in page.items} == {3}
        keys, stages = await keys_and_stages(community.database, commands[0])
        assert keys <= 101
        assert not {"SORT", "COLLSCAN"} & stages
        keys, stages = await keys_and_stages(community.database, commands[1])
        assert keys <= 3 * 100 + 3 * 100 + 1
        assert not {"SORT", "COLLSCAN"} & stages
        after = page.next


async def test_the_badge_is_two_round_trips_at_any_size(community: Community) -> None:
    me, stranger = await people(community, 2)
    await _inbox(community, me, 230)
    await _inbox(community, stranger, 50)
    with count_commands(community) as commands:
        assert await community.conversations.unread_count(me.id) == 460
    assert [command.name for command in commands] == ["aggregate", "aggregate"]
    for command, most in zip(commands, (230, 460 + 3 * 230 + 1), strict=True):
        keys, stages = await keys_and_stages(community.database, command)
        assert keys <= most
        assert not {"SORT", "COLLSCAN"} & stages


async def test_deleting_a_conversation_takes_its_messages_along(community: Community) -> None:
    """And leaves those of others; the pair can begin again."""
    me, one, other = await people(community, 3)
    gone, kept = [await community.conversations.open(me.id, user.id) for user in (one, other)]
    for conversation in (gone, kept):
        await community.messages.send(conversation.id, me.id, "hello")
    await community.conversations.delete(gone.id)
    assert [row["conversationId"] async for row in community.database.messages.find()] == [kept.id]
    with pytest.raises(NotFoundError):
        await community.conversations.delete(gone.id)
    assert (await community.conversations.open(me.id, one.id)).id != gone.id


async def test_sending_while_it_is_deleted_leaves_no_orphan(community: Community) -> None:
    """Either the message goes with the conversation, or there was none to send to any more."""
    one, other = await people(community, 2)
    for _ in range(6):
        opened = await community.conversations.open(one.id, other.id)
        sends = [community.messages.send(opened.id, sender.id, "hello") for sender in (one, other)]
        results = await asyncio.gather(*sends, community.conversations.delete(opened.id), return_exceptions=True)
        assert results[2] is None
        assert all(isinstance(result, NotFoundError) for result in results if isinstance(result, Exception))
        assert await community.database.messages.count_documents({}) == 0


@pytest.mark.parametrize("bad", ["5" * 24, {"$gt": ""}, None, 5])
async def test_bad_input(community: Community, bad: Any) -> None:
    conversations, id = community.conversations, UserId(ObjectId())
    for call, field in (
        (conversations.open(bad, id), "user_id"),
        (conversations.open(id, bad), "other_id"),
        (conversations.between(id, bad), "other_id"),
        (conversations.inbox(bad), "user_id"),
        (conversations.unread_count(bad), "user_id"),
        (conversations.delete(bad), "id"),
    ):
        with pytest.raises(InvalidInputError) as error:
            await call
        assert error.value.field == field


async def test_what_is_not_there(community: Community) -> None:
    missing = ConversationId(ObjectId())
    with pytest.raises(NotFoundError, match=str(missing)):
        await community.conversations.get(missing)
    assert await community.conversations.find(missing) is None
