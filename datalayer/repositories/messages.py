"""What people write to each other."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from bson import ObjectId

from datalayer.documents.conversations import PREVIEW_LENGTH, Conversation, Message
from datalayer.documents.users import User
from datalayer.engine.boundary import Cursor, Limit
from datalayer.engine.fields import Saying
from datalayer.engine.pages import Page
from datalayer.engine.repository import ALIVE, SoftDeletingRepository, not_found
from datalayer.errors import NotAParticipantError, NotFoundError
from datalayer.ids import ConversationId, MessageId, UserId
from datalayer.repositories.shared.authors import lock_author

UNREAD: Mapping[str, None] = {"readAt": None, **ALIVE}
"""The filter of what has not been read, and is not deleted."""


class Messages(SoftDeletingRepository[Message, MessageId]):
    """The messages. The conversation's `lastMessageAt` and preview follow the newest one in the same transaction.

    What changes which message is the newest writes to the conversation, and so conflicts with anything else that does.
    """

    document = Message
    belongs_to = (Conversation, "conversationId")

    async def send(self, conversation_id: ConversationId, sender_id: UserId, content: Saying) -> Message:
        """Write to the other participant.

        A transaction of 4 round trips. It has 5 or 6 round trips where there is a message of the same millisecond, to
        find by by_conversationId_and_createdAt which comes last.

        The order of a conversation is the order of sending, also where a clock goes back: a message is never older
        than the one before.

        Raises:
            NotAParticipantError: The sender is none of the two.
            NotFoundError: There is no such conversation, or the sender was removed.
        """

        async def work() -> Message:
            now = self._now()
            try:
                # First, since it may find nobody: what is refused has written nothing that shows.
                sender = await lock_author(self._of(User), sender_id)
            except NotFoundError:
                await self._other(conversation_id, sender_id)
                raise
            before = await self._of(Conversation).find_one_and_update(
                {"_id": conversation_id, "participantIds": sender_id},
                {
                    "$max": {"lastMessageAt": now},
                    "$set": {"lastMessagePreview": content[:PREVIEW_LENGTH]},
                    "$inc": {"revision": 1},
                },
                {"lastMessageAt": 1, "lastMessagePreview": 1},
            )
            if before is None:
                await self._require(Conversation, conversation_id)
                raise NotAParticipantError
            message = Message(
                conversation_id=conversation_id,
                sender_id=sender_id,
                sender_name=sender.name,
                content=content,
                created_at=max(now, int(before["lastMessageAt"])),
            )
            if "lastMessagePreview" in before and message.created_at == before["lastMessageAt"]:
                await self._put_last(message)
            return await self._insert(message)

        return await self._connection.transaction(work)

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

    async def _put_last(self, message: Message) -> None:
        """Make the message newer than those of its millisecond: another process's ids may be greater than its own."""
        at_once = {"conversationId": message.conversation_id, "createdAt": message.created_at}
        greater = await self._collection.find_one(
            {**at_once, "_id": {"$gt": message.id}, **ALIVE}, {"_id": 1}, hint="by_conversationId_and_createdAt"
        )
        if greater is not None:
            message.created_at += 1
            await self._change_conversation(message.conversation_id, {"$set": {"lastMessageAt": message.created_at}})

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
