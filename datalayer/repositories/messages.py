"""Messages between the participants of a conversation."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, TypeAlias

from bson import ObjectId

from datalayer.documents.conversations import PREVIEW_LENGTH, Conversation, Message
from datalayer.documents.users import User
from datalayer.engine.boundary import Cursor, Limit
from datalayer.engine.collection import insert_all
from datalayer.engine.connection import Connection
from datalayer.engine.fields import MessageText
from datalayer.engine.group_commit import GroupCommit
from datalayer.engine.pages import Page
from datalayer.engine.repository import ALIVE, SoftDeletingRepository, not_found
from datalayer.errors import NotAParticipantError
from datalayer.ids import ConversationId, MessageId, UserId
from datalayer.repositories.shared.authors import lock_authors
from datalayer.repositories.shared.consequences import Act, Wanted, bring_about
from datalayer.repositories.shared.telling import Actor, Notice

UNREAD: Mapping[str, None] = {"readAt": None, **ALIVE}
"""The filter of unread messages that are not deleted."""


_Draft: TypeAlias = tuple[UserId, str, bool]
"""The sender, the text, and whether to notify the other participant."""

_LAST = {"participantIds": 1, "lastMessageAt": 1, "lastMessagePreview": 1}


class Messages(SoftDeletingRepository[Message, MessageId]):
    """The messages of the conversations.

    The conversation's `lastMessageAt` and `lastMessagePreview` follow the newest message in the same transaction. Every
    change of the newest message writes to the conversation, so such changes conflict with each other.

    Concurrent messages to one conversation in one process share transactions. Inside `transaction` they belong to the
    open transaction.
    """

    document = Message
    belongs_to = (Conversation, "conversationId")

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self._groups = GroupCommit[ConversationId, _Draft, Message](
            connection, self._apply, lambda conversation_id: [(Conversation.Settings.name, conversation_id)]
        )

    async def send(
        self, conversation_id: ConversationId, sender_id: UserId, content: MessageText, *, notify: bool = False
    ) -> Message:
        """Send a message to the other participant.

        Messages are ordered as they were sent, also if a clock goes backwards: a message is never older than the one
        before.

        Args:
            conversation_id: The conversation.
            sender_id: The sender.
            content: The text.
            notify: Notify the recipient. One `message` notification gathers all messages of the conversation.

        Raises:
            NotAParticipantError: The sender is not a participant.
            NotFoundError: The conversation does not exist, or the sender was deleted.

        Cost: one transaction, 4 round trips; concurrent messages to the conversation share it. It takes 5 or 6 round
        trips if a message of the same millisecond exists: then index by_conversationId_and_createdAt finds which comes
        last. With `notify` it takes 7 round trips (index by_userId_and_type_and_gatherKey), in such a millisecond at
        most 9.
        """
        return await self._groups.submit(conversation_id, (sender_id, content, notify))

    async def history(
        self, conversation_id: ConversationId, *, reader_id: UserId, limit: Limit = 20, after: Cursor | None = None
    ) -> Page[Message]:
        """Return a page of the conversation's messages, newest first.

        Raises:
            NotAParticipantError: The reader is not a participant.
            NotFoundError: The conversation does not exist.

        Cost: 2 round trips; indexes `_id` and by_conversationId_and_createdAt.
        """
        filter = {"conversationId": conversation_id, **ALIVE}
        takes_part = partial(self._other, conversation_id, reader_id)
        return await self._page(filter, "by_conversationId_and_createdAt", limit, after, only_if=takes_part)

    async def mark_read(self, conversation_id: ConversationId, reader_id: UserId) -> int:
        """Mark all messages from the other participant as read. Idempotent.

        Messages that were read before keep their `readAt`.

        Returns:
            The number of messages that were unread.

        Raises:
            NotAParticipantError: The reader is not a participant.
            NotFoundError: The conversation does not exist.

        Cost: 3 round trips, the last two in a transaction; indexes `_id` and by_conversationId_and_senderId, one key
        per unread message.
        """
        other = await self._other(conversation_id, reader_id)
        unread = {"conversationId": conversation_id, "senderId": other, **UNREAD}
        # Clocks differ: never store a `readAt` before `createdAt`.
        read = [{"$set": {"readAt": {"$max": [self._now(), "$createdAt"]}}}]
        return await self._update_all(unread, read, "by_conversationId_and_senderId")

    async def delete(self, id: MessageId) -> None:
        """Soft-delete the message. The conversation then shows its newest remaining message.

        If none remains, the preview is removed and `lastMessageAt` is kept.

        Raises:
            NotFoundError: The message does not exist or is already deleted.

        Cost: one transaction, 4 round trips; index by_conversationId_and_createdAt.
        """

        async def work() -> None:
            message = await self._update({"_id": id, **ALIVE}, {"$set": {"deletedAt": self._now()}})
            await self._follow_newest(message.conversation_id)

        await self._connection.transaction(work)

    async def restore(self, id: MessageId) -> Message:
        """Restore a deleted message at its old position. Idempotent. The conversation's preview is updated.

        Raises:
            NotFoundError: The message does not exist.

        Cost: one transaction, 5 round trips; index by_conversationId_and_createdAt.
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
        """Return the participant that the reader talks to."""
        conversation = await self._of(Conversation).find_one({"_id": conversation_id}, {"participantIds": 1})
        if conversation is None:
            raise not_found(Conversation, conversation_id)
        one, other = conversation["participantIds"]
        if reader_id not in (one, other):
            raise NotAParticipantError
        return other if reader_id == one else one

    async def _apply(self, conversation_id: ConversationId, drafts: Sequence[_Draft]) -> Sequence[Message | Exception]:
        """Send messages to one conversation, in order. Runs in a transaction."""
        now = self._now()
        # Before the conversation is written: a single message may be refused inside a transaction that goes on.
        senders = await lock_authors(self._of(User), {sender_id for sender_id, _, _ in drafts})
        known = [draft for draft in drafts if draft[0] in senders]
        before = await self._append(conversation_id, known, now)
        if before is None:
            # No sender exists, or the last sender is not a participant.
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
            await insert_all(self._collection, [message.to_wire() for message in new])
        acts = [
            _act(message, Actor(message.sender_id, senders[message.sender_id]), before["participantIds"])
            for (_, _, notify), message in zip(drafts, answers, strict=True)
            if notify and isinstance(message, Message)
        ]
        await bring_about(self._connection, acts)
        return answers

    async def _append(self, id: ConversationId, drafts: Sequence[_Draft], now: int) -> Mapping[str, Any] | None:
        """Make the conversation show the last of the messages.

        Returns the conversation as it was before, or `None` if that message's sender does not participate.
        """
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
        """Make the messages newer than the others of their millisecond.

        Ids of that millisecond that another process made may be greater.
        """
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
        # The revision forces a write even if nothing else changes; without it, two deletions could miss each other.
        await self._of(Conversation).update_one({"_id": id}, {**change, "$inc": {"revision": 1}})


def _act(message: Message, sender: Actor, participant_ids: Sequence[UserId]) -> Act:
    id = message.conversation_id
    others = [other for other in participant_ids if other != sender.id]
    told = [Notice(other, "message", sender, {"conversationId": id}, f"conversation:{id}") for other in others]
    return Act(Wanted(notify=True), notices=told)
