"""What people write to each other."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, TypeAlias

from bson import ObjectId

from datalayer.documents.conversations import PREVIEW_LENGTH, Conversation, Message
from datalayer.documents.users import User
from datalayer.engine.boundary import Cursor, Limit
from datalayer.engine.connection import Connection
from datalayer.engine.fields import Saying
from datalayer.engine.group_commit import GroupCommit
from datalayer.engine.pages import Page
from datalayer.engine.repository import ALIVE, SoftDeletingRepository, not_found
from datalayer.errors import NotAParticipantError
from datalayer.ids import ConversationId, MessageId, UserId
from datalayer.repositories.shared.authors import lock_authors
from datalayer.repositories.shared.consequences import Act, Wanted, bring_about
from datalayer.repositories.shared.telling import Actor, Notice

UNREAD: Mapping[str, None] = {"readAt": None, **ALIVE}
"""The filter of what has not been read, and is not deleted."""


_Draft: TypeAlias = tuple[UserId, str, bool]
"""The sender, what they say, and whether the other one is notified."""

_LAST = {"participantIds": 1, "lastMessageAt": 1, "lastMessagePreview": 1}


class Messages(SoftDeletingRepository[Message, MessageId]):
    """The messages. The conversation's `lastMessageAt` and preview follow the newest one in the same transaction.

    What changes which message is the newest writes to the conversation, and so conflicts with anything else that does.

    Concurrent messages to one conversation in one process share transactions. Inside `transaction` they belong to the
    transaction that is open.
    """

    document = Message
    belongs_to = (Conversation, "conversationId")

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self._groups = GroupCommit[ConversationId, _Draft, Message](
            connection, self._apply, lambda conversation_id: [(Conversation.Settings.name, conversation_id)]
        )

    async def send(
        self, conversation_id: ConversationId, sender_id: UserId, content: Saying, *, notify: bool = False
    ) -> Message:
        """Write to the other participant.

        A transaction of 4 round trips, shared with concurrent messages to the conversation. It has 5 or 6 round trips
        where there is a message of the same millisecond, to find by by_conversationId_and_createdAt which comes last.
        With `notify` it has 7 round trips, by_userId_and_type_and_gatherKey; at most 9 in such a millisecond.

        The order of a conversation is the order of sending, also where a clock goes back: a message is never older
        than the one before.

        Args:
            conversation_id: The conversation.
            sender_id: Who writes.
            content: What they say.
            notify: Tell the other one, in a notification `message` that gathers those of the conversation.

        Raises:
            NotAParticipantError: The sender is none of the two.
            NotFoundError: There is no such conversation, or the sender was removed.
        """
        return await self._groups.submit(conversation_id, (sender_id, content, notify))

    async def history(
        self, conversation_id: ConversationId, *, reader_id: UserId, limit: Limit = 20, after: Cursor | None = None
    ) -> Page[Message]:
        """The conversation's messages, newest first. 2 round trips, `_id` and by_conversationId_and_createdAt.

        Raises:
            NotAParticipantError: The reader is none of the two.
            NotFoundError: There is no such conversation.
        """
        filter = {"conversationId": conversation_id, **ALIVE}
        takes_part = partial(self._other, conversation_id, reader_id)
        return await self._page(filter, "by_conversationId_and_createdAt", limit, after, only_if=takes_part)

    async def mark_read(self, conversation_id: ConversationId, reader_id: UserId) -> int:
        """Note that the reader has seen what the other wrote; gives how many messages were new.

        A message that was read before keeps its time. 3 round trips: `_id`, and a transaction that uses
        by_conversationId_and_senderId, a key for each message that was new.

        Raises:
            NotAParticipantError: The reader is none of the two.
            NotFoundError: There is no such conversation.
        """
        other = await self._other(conversation_id, reader_id)
        unread = {"conversationId": conversation_id, "senderId": other, **UNREAD}
        # Nothing is read before it was written, whatever the clocks say.
        read = [{"$set": {"readAt": {"$max": [self._now(), "$createdAt"]}}}]
        return await self._update_all(unread, read, "by_conversationId_and_senderId")

    async def delete(self, id: MessageId) -> None:
        """Mark the message as deleted; the conversation follows the newest one that is left.

        Where none is left the preview goes, and `lastMessageAt` stays. A transaction of 4 round trips,
        by_conversationId_and_createdAt.

        Raises:
            NotFoundError: There is none, or it is deleted.
        """

        async def work() -> None:
            message = await self._update({"_id": id, **ALIVE}, {"$set": {"deletedAt": self._now()}})
            await self._follow_newest(message.conversation_id)

        await self._connection.transaction(work)

    async def restore(self, id: MessageId) -> Message:
        """Bring a deleted message back, in its place; the conversation follows.

        A transaction of 5 round trips, by_conversationId_and_createdAt.

        Raises:
            NotFoundError: There is none.
        """

        async def work() -> Message:
            message = self._found(await self._one({"_id": id}), id)
            if message.deleted_at is None:
                return message
            restored = await self._update({"_id": id}, {"$unset": {"deletedAt": ""}})
            await self._follow_newest(message.conversation_id)
            return restored

        return await self._connection.transaction(work)

    async def _other(self, conversation_id: ConversationId, reader_id: UserId) -> UserId:
        """Whom the reader talks with."""
        conversation = await self._of(Conversation).find_one({"_id": conversation_id}, {"participantIds": 1})
        if conversation is None:
            raise not_found(Conversation, conversation_id)
        one, other = conversation["participantIds"]
        if reader_id not in (one, other):
            raise NotAParticipantError
        return other if reader_id == one else one

    async def _apply(self, conversation_id: ConversationId, drafts: Sequence[_Draft]) -> Sequence[Message | Exception]:
        """Send messages to one conversation, in order. In a transaction."""
        now = self._now()
        # Before the conversation, since one alone may be refused in a transaction that goes on.
        senders = await lock_authors(self._of(User), {sender_id for sender_id, _, _ in drafts})
        known = [draft for draft in drafts if draft[0] in senders]
        before = await self._append(conversation_id, known, now)
        if before is None:
            # Nobody is known, or the last one does not take part.
            before = await self._of(Conversation).find_one({"_id": conversation_id}, _LAST)
            if before is None:
                return [not_found(Conversation, conversation_id) for _ in drafts]
            taking_part = [draft for draft in known if draft[0] in before["participantIds"]]
            before = await self._append(conversation_id, taking_part, now) or before
        created_at = max(now, int(before["lastMessageAt"]))
        answers: list[Message | Exception] = []
        for sender_id, content, _ in drafts:
            if sender_id not in before["participantIds"]:
                answers.append(NotAParticipantError())
            elif (sender := senders.get(sender_id)) is None:
                answers.append(not_found(User, sender_id))
            else:
                message = self.document(
                    conversation_id=conversation_id,
                    sender_id=sender_id,
                    sender_name=sender.name,
                    content=content,
                    created_at=created_at,
                )
                answers.append(message)
        if new := [message for message in answers if isinstance(message, Message)]:
            if "lastMessagePreview" in before and created_at == before["lastMessageAt"]:
                await self._put_last(conversation_id, new)
            await self._collection.insert_many([message.to_wire() for message in new])
        acts = [
            _act(message, Actor(message.sender_id, senders[message.sender_id]), before["participantIds"])
            for (_, _, notify), message in zip(drafts, answers, strict=True)
            if notify and isinstance(message, Message)
        ]
        await bring_about(self._connection, acts)
        return answers

    async def _append(self, id: ConversationId, drafts: Sequence[_Draft], now: int) -> Mapping[str, Any] | None:
        """Let the conversation show the last of the messages; what it was before, if that one's sender takes part."""
        if not drafts:
            return None
        sender_id, content, _ = drafts[-1]
        return await self._of(Conversation).find_one_and_update(
            {"_id": id, "participantIds": sender_id},
            {
                "$max": {"lastMessageAt": now},
                "$set": {"lastMessagePreview": content[:PREVIEW_LENGTH]},
                "$inc": {"revision": 1},
            },
            _LAST,
        )

    async def _put_last(self, conversation_id: ConversationId, messages: Sequence[Message]) -> None:
        """Make the messages newer than those of their millisecond: another process's ids may be greater."""
        at_once = {"conversationId": conversation_id, "createdAt": messages[0].created_at}
        greater = await self._collection.find_one(
            {**at_once, "_id": {"$gt": messages[0].id}, **ALIVE}, {"_id": 1}, hint="by_conversationId_and_createdAt"
        )
        if greater is not None:
            later = messages[0].created_at + 1
            for message in messages:
                message.created_at = later
            await self._change_conversation(conversation_id, {"$set": {"lastMessageAt": later}})

    async def _follow_newest(self, conversation_id: ConversationId) -> None:
        newest = await self._collection.find_one(
            {"conversationId": conversation_id, **ALIVE},
            {"createdAt": 1, "content": 1},
            sort={"createdAt": -1, "_id": -1},
            hint="by_conversationId_and_createdAt",
        )
        if newest is None:
            await self._change_conversation(conversation_id, {"$unset": {"lastMessagePreview": ""}})
        else:
            last = {"lastMessageAt": newest["createdAt"], "lastMessagePreview": newest["content"][:PREVIEW_LENGTH]}
            await self._change_conversation(conversation_id, {"$set": last})

    async def _change_conversation(self, id: ObjectId, change: Mapping[str, Any]) -> None:
        # The revision makes it a write where nothing else changes: without one, two deletions could miss each other.
        await self._of(Conversation).update_one({"_id": id}, {**change, "$inc": {"revision": 1}})


def _act(message: Message, sender: Actor, participant_ids: Sequence[UserId]) -> Act:
    id = message.conversation_id
    others = [other for other in participant_ids if other != sender.id]
    told = [Notice(other, "message", sender, {"conversationId": id}, f"conversation:{id}") for other in others]
    return Act(Wanted(notify=True), notices=told)
