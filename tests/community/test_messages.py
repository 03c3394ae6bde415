"""Messages: only between the two, in the order of sending, with a conversation that follows the newest."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import suppress
from functools import partial
from typing import Any

import pytest
from bson import ObjectId

from datalayer import Community
from datalayer.documents import Conversation, Message, User
from datalayer.engine.ids import new_object_id
from datalayer.errors import InvalidInputError, NotAParticipantError, NotFoundError
from datalayer.ids import ConversationId, MessageId, UserId
from datalayer.testing import count_commands
from tests.commands import keys_and_stages
from tests.community.test_pages import read_all
from tests.community.world import people, person
from tests.interleaving.changes import changed_after_snapshot
from tests.seeding.invariants import violations

Talk = tuple[Conversation, User, User]


class Times:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 1_000

    def __call__(self) -> int:
        """What it shows."""
        return self.now


@pytest.fixture
def times() -> Times:
    return Times()


@pytest.fixture
async def timed(community: Community, times: Times) -> AsyncIterator[Community]:
    """The same community by that clock."""
    async with Community.over(community.database, schema="skip", clock=times) as timed:
        yield timed


async def _talk(community: Community) -> Talk:
    one, other = await people(community, 2)
    return await community.conversations.open(one.id, other.id), one, other


async def _last(community: Community, id: ConversationId) -> tuple[int, str | None]:
    conversation = await community.conversations.get(id)
    return conversation.last_message_at, conversation.last_message_preview


async def test_a_message_and_what_the_conversation_shows_of_it(timed: Community, times: Times) -> None:
    """The sender's name is copied; the preview is the first 140 characters, by characters and not by bytes."""
    opened, one, other = await _talk(timed)
    times.now = 2_000
    text = "\N{GRINNING FACE}\N{LATIN SMALL LETTER U WITH DIAERESIS}" * 100
    message = await timed.messages.send(opened.id, one.id, text)
    assert (message.sender_id, message.sender_name, message.content) == (one.id, one.name, text)
    assert (message.created_at, message.read_at, message.deleted_at) == (2_000, None, None)
    assert await timed.messages.get(message.id) == message
    assert await _last(timed, opened.id) == (2_000, text[:140])
    times.now = 3_000
    await timed.messages.send(opened.id, other.id, "short")
    assert await _last(timed, opened.id) == (3_000, "short")


async def test_the_sender_copy_follows_the_name(community: Community) -> None:
    """Nameless is "Member"; renaming while messages are sent leaves no old name."""
    one, other = await community.users.create(), await person(community)
    opened = await community.conversations.open(one.id, other.id)
    message = await community.messages.send(opened.id, one.id, "hello")
    assert message.sender_name == "Member"
    sends = [community.messages.send(opened.id, one.id, f"{number}") for number in range(4)]
    await asyncio.gather(*sends, community.users.update_profile(one.id, name="Grace"))
    assert {row["senderName"] async for row in community.database.messages.find()} == {"Grace"}
    assert await violations(community.database) == []


async def test_sending_is_four_round_trips(community: Community) -> None:
    opened, one, _ = await _talk(community)
    with count_commands(community) as commands:
        await community.messages.send(opened.id, one.id, "hello")
    names = [command.name for command in commands]
    assert names == ["findAndModify", "findAndModify", "insert", "commitTransaction"]


@pytest.mark.quick("messages")
async def test_only_the_two_take_part(community: Community) -> None:
    """A stranger neither writes, nor reads, nor marks; nothing changes by the attempt."""
    opened, one, _ = await _talk(community)
    await community.messages.send(opened.id, one.id, "between us")
    before = await community.conversations.get(opened.id)
    stranger = await person(community)
    messages = community.messages
    for id in (stranger.id, UserId(ObjectId())):
        for attempt in (
            messages.send(opened.id, id, "me too"),
            messages.history(opened.id, reader_id=id),
            messages.mark_read(opened.id, id),
        ):
            with pytest.raises(NotAParticipantError):
                await attempt
    assert await community.conversations.get(opened.id) == before
    assert await community.database.messages.count_documents({"readAt": None}) == 1


async def test_what_is_not_there(community: Community) -> None:
    """A conversation, a message, and a sender who was removed; then nothing is written."""
    opened, one, other = await _talk(community)
    missing, messages = ConversationId(ObjectId()), community.messages
    for attempt in (
        messages.send(missing, one.id, "hello"),
        messages.history(missing, reader_id=one.id),
        messages.mark_read(missing, one.id),
    ):
        with pytest.raises(NotFoundError, match="Conversation"):
            await attempt
    for verb in (messages.get, messages.delete, messages.restore):
        with pytest.raises(NotFoundError, match="Message"):
            await verb(MessageId(ObjectId()))
    await community.users.delete(one.id)
    with pytest.raises(NotFoundError, match="User"):
        await messages.send(opened.id, one.id, "hello")
    assert await _last(community, opened.id) == (opened.last_message_at, None)
    await messages.send(opened.id, other.id, "gone?")


async def test_a_clock_that_goes_back_does_not_change_the_order(timed: Community, times: Times) -> None:
    opened, one, other = await _talk(timed)
    for times.now, text in ((5_000, "first"), (4_000, "second"), (4_500, "third"), (5_000, "fourth"), (6_000, "fifth")):
        await timed.messages.send(opened.id, one.id, text)
        assert (await _last(timed, opened.id))[1] == text
    history = (await timed.messages.history(opened.id, reader_id=other.id)).items
    assert [message.content for message in history] == ["fifth", "fourth", "third", "second", "first"]
    assert [message.created_at for message in history] == [6_000, 5_000, 5_000, 5_000, 5_000]
    assert await _last(timed, opened.id) == (6_000, "fifth")
    times.now = 10
    await timed.messages.mark_read(opened.id, other.id)
    assert await violations(timed.database) == []


async def test_a_message_goes_behind_one_of_another_process(timed: Community, times: Times) -> None:
    """In the same millisecond another process's id may be the greater one."""
    opened, one, other = await _talk(timed)
    first = await timed.messages.send(opened.id, one.id, "first")
    row = first.to_wire() | {"_id": ObjectId("f" * 24), "content": "of another process"}
    await timed.database.messages.insert_one(row)
    second = await timed.messages.send(opened.id, other.id, "second")
    assert second.created_at == times.now + 1
    assert await _last(timed, opened.id) == (times.now + 1, "second")
    assert await violations(timed.database) == []


@pytest.mark.parametrize("same", [False, True])
async def test_many_who_send_at_once(timed: Community, *, same: bool) -> None:
    """All messages are there, and the conversation shows the newest; also with equal times and equal words."""
    opened, one, other = await _talk(timed)
    words = ["hello" if same else f"message {number}" for number in range(16)]
    await asyncio.gather(
        *(timed.messages.send(opened.id, sender.id, word) for word, sender in zip(words, [one, other] * 8, strict=True))
    )
    history = (await timed.messages.history(opened.id, reader_id=one.id, limit=100)).items
    assert sorted(message.content for message in history) == sorted(words)
    assert await violations(timed.database) == []


async def test_the_conversation_follows_deletion_and_restoration(timed: Community, times: Times) -> None:
    """The newest that is left is shown; of none, nothing, at the time of the last."""
    opened, one, other = await _talk(timed)
    sent: list[Message] = []
    for number in range(3):
        times.now += 100
        sent.append(await timed.messages.send(opened.id, one.id, f"message {number}"))
    shown = [(message.created_at, message.content) for message in sent]
    steps: list[tuple[Any, int, tuple[int, str | None]]] = [
        (timed.messages.delete, 1, shown[2]),
        (timed.messages.delete, 2, shown[0]),
        (timed.messages.restore, 1, shown[1]),
        (timed.messages.delete, 0, shown[1]),
        (timed.messages.delete, 1, (shown[1][0], None)),
        (timed.messages.restore, 0, shown[0]),
        (timed.messages.restore, 2, shown[2]),
        (timed.messages.restore, 2, shown[2]),
    ]
    for verb, number, expected in steps:
        await verb(sent[number].id)
        assert await _last(timed, opened.id) == expected
        assert await violations(timed.database) == []
    history = (await timed.messages.history(opened.id, reader_id=other.id)).items
    assert [message.id for message in history] == [sent[2].id, sent[0].id]


async def test_a_deleted_message_is_not_found(community: Community) -> None:
    opened, one, _ = await _talk(community)
    message = await community.messages.send(opened.id, one.id, "hello")
    await community.messages.delete(message.id)
    for verb in (community.messages.get, community.messages.delete):
        with pytest.raises(NotFoundError):
            await verb(message.id)
    assert (await community.messages.get(message.id, include_deleted=True)).deleted_at is not None
    assert await community.messages.restore(message.id) == message


async def test_a_deletion_that_saw_a_newer_message_conflicts_with_that_ones(timed: Community, times: Times) -> None:
    """The conversation shows what is left after both."""
    opened, one, _ = await _talk(timed)
    sent: list[Message] = []
    for times.now in (1_000, 2_000, 3_000):
        sent.append(await timed.messages.send(opened.id, one.id, f"at {times.now}"))
    deletions = [partial(timed.messages.delete, message.id) for message in sent[1:]]
    await changed_after_snapshot(timed, *deletions)
    assert await _last(timed, opened.id) == (1_000, "at 1000")


async def test_sending_the_same_words_while_they_are_deleted(timed: Community, times: Times) -> None:
    """Saying again in the same millisecond what the conversation shows is a change of it, too."""
    for _ in range(8):
        opened, one, _other = await _talk(timed)
        for times.now, text in ((1_000, "first"), (2_000, "hello")):
            message = await timed.messages.send(opened.id, one.id, text)
        await asyncio.gather(timed.messages.delete(message.id), timed.messages.send(opened.id, one.id, "hello"))
        assert await _last(timed, opened.id) == (2_000, "hello")


async def test_everything_at_once(community: Community) -> None:
    """Sending, deleting, restoring and reading at once leave the conversation with its newest message."""
    opened, one, other = await _talk(community)
    sent = [await community.messages.send(opened.id, one.id, f"message {number}") for number in range(6)]
    for message in sent[3:]:
        await community.messages.delete(message.id)
    calls: list[Any] = [community.messages.send(opened.id, user.id, "more") for user in (one, other) * 3]
    calls += [community.messages.delete(message.id) for message in sent[:3]]
    calls += [community.messages.restore(message.id) for message in sent[3:]]
    calls += [community.messages.mark_read(opened.id, user.id) for user in (one, other)]
    random.Random(1).shuffle(calls)  # noqa: S311
    await asyncio.gather(*calls)
    assert len((await community.messages.history(opened.id, reader_id=one.id)).items) == 9
    assert await violations(community.database) == []


async def test_reading_marks_what_the_other_wrote_once(timed: Community, times: Times) -> None:
    """Not the reader's own, not what is deleted; what was read keeps its time."""
    opened, one, other = await _talk(timed)
    early = await timed.messages.send(opened.id, one.id, "early")
    deleted = await timed.messages.send(opened.id, one.id, "deleted")
    own = await timed.messages.send(opened.id, other.id, "own")
    await timed.messages.delete(deleted.id)
    times.now = 2_000
    assert await timed.messages.mark_read(opened.id, other.id) == 1
    late = await timed.messages.send(opened.id, one.id, "late")
    times.now = 3_000
    assert await timed.messages.mark_read(opened.id, other.id) == 1
    assert await timed.messages.mark_read(opened.id, other.id) == 0
    found = await timed.messages.get_many([early.id, deleted.id, own.id, late.id], include_deleted=True)
    assert [found[message.id].read_at for message in (early, deleted, own, late)] == [2_000, None, None, 3_000]


async def test_each_message_is_marked_by_one_reader_call(community: Community) -> None:
    """Calls at once share the messages among them, by the index of what is unread."""
    opened, one, other = await _talk(community)
    message = await community.messages.send(opened.id, one.id, "hello")
    rows = [message.to_wire() | {"_id": new_object_id()} for _ in range(40)]
    await community.database.messages.insert_many(
        [*rows, *(row | {"_id": new_object_id(), "readAt": 1} for row in rows)]
    )
    with count_commands(community) as commands:
        counts = await asyncio.gather(*(community.messages.mark_read(opened.id, other.id) for _ in range(4)))
    assert sum(counts) == 41
    assert {command.name for command in commands} >= {"find", "update", "commitTransaction"}
    await community.database.messages.update_many({}, {"$unset": {"readAt": ""}})
    update = next(command for command in commands if command.name == "update")
    keys, stages = await keys_and_stages(community.database, update)
    assert keys <= 82
    assert "COLLSCAN" not in stages
    assert await community.database.messages.count_documents({"readAt": 1}) == 0


async def test_the_history_is_read_in_two_round_trips(community: Community) -> None:
    """Newest first, page by page; a page costs the same at any depth."""
    opened, one, other = await _talk(community)
    message = await community.messages.send(opened.id, one.id, "hello")
    rows = [
        message.to_wire()
        | {"_id": new_object_id(), "createdAt": 1 + number // 3}
        | ({"deletedAt": 9} if number % 10 else {})
        for number in range(300)
    ]
    for row in rows[::2]:
        row.pop("deletedAt", None)
    await community.database.messages.insert_many(rows)
    expected = sorted(
        (row for row in rows if "deletedAt" not in row), key=lambda row: (row["createdAt"], row["_id"]), reverse=True
    )
    history = await read_all(community.messages.history, opened.id, reader_id=other.id, limit=37)
    assert [item.id for item in history] == [message.id, *(row["_id"] for row in expected)]
    page = await community.messages.history(opened.id, reader_id=one.id, limit=50)
    with count_commands(community) as commands:
        await community.messages.history(opened.id, reader_id=one.id, limit=50, after=page.next)
    assert [command.name for command in commands] == ["find", "find"]
    keys, stages = await keys_and_stages(community.database, commands[1])
    assert keys <= 2 * 51
    assert not {"SORT", "COLLSCAN"} & stages


async def test_a_transaction_takes_the_message_along(community: Community) -> None:
    opened, one, _ = await _talk(community)

    async def work() -> None:
        await community.messages.send(opened.id, one.id, "hello")
        raise KeyError

    with pytest.raises(KeyError):
        await community.transaction(work)
    assert await community.conversations.get(opened.id) == opened
    assert await community.database.messages.count_documents({}) == 0


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        (("5" * 24, ObjectId(), "hello"), "conversation_id"),
        (({"$gt": ""}, ObjectId(), "hello"), "conversation_id"),
        ((ObjectId(), "5" * 24, "hello"), "sender_id"),
        ((ObjectId(), {"$ne": None}, "hello"), "sender_id"),
        ((ObjectId(), ObjectId(), ""), "content"),
        ((ObjectId(), ObjectId(), " \n"), "content"),
        ((ObjectId(), ObjectId(), "x" * 10_001), "content"),
        ((ObjectId(), ObjectId(), "x\0"), "content"),
        ((ObjectId(), ObjectId(), "\ud800"), "content"),
        ((ObjectId(), ObjectId(), {"$gt": ""}), "content"),
        ((ObjectId(), ObjectId(), None), "content"),
    ],
)
async def test_bad_messages(community: Community, arguments: tuple[Any, ...], field: str) -> None:
    with pytest.raises(InvalidInputError) as error:
        await community.messages.send(*arguments)
    assert error.value.field == field


@pytest.mark.parametrize("bad", ["5" * 24, {"$gt": ""}, None, 5])
async def test_bad_ids(community: Community, bad: Any) -> None:
    messages, id = community.messages, ObjectId()
    for call, field in (
        (messages.history(bad, reader_id=UserId(id)), "conversation_id"),
        (messages.history(ConversationId(id), reader_id=bad), "reader_id"),
        (messages.mark_read(bad, UserId(id)), "conversation_id"),
        (messages.mark_read(ConversationId(id), bad), "reader_id"),
        (messages.delete(bad), "id"),
        (messages.restore(bad), "id"),
    ):
        with pytest.raises(InvalidInputError) as error:
            await call
        assert error.value.field == field


async def test_a_refused_message_shows_nothing(community: Community) -> None:
    """Also where its error is caught inside a transaction: the sender was removed."""
    one, other = await people(community, 2)
    conversation = await community.conversations.open(one.id, other.id)
    await community.users.delete(one.id)

    async def work() -> None:
        with suppress(NotFoundError):
            await community.messages.send(conversation.id, one.id, "ghost")

    await community.transaction(work)
    assert (await community.conversations.get(conversation.id)).last_message_preview is None
