"""Conversations of two."""

from dataclasses import dataclass
from typing import Any

from pymongo.errors import DuplicateKeyError

from datalayer.documents.conversations import Conversation, Message
from datalayer.documents.users import User
from datalayer.engine.boundary import Cursor, Limit
from datalayer.engine.pages import Page
from datalayer.engine.repository import Children, Repository, not_found
from datalayer.errors import SelfConversationError
from datalayer.ids import ConversationId, UserId
from datalayer.repositories.messages import UNREAD


@dataclass(frozen=True, slots=True)
class InboxEntry:
    """A conversation, as one of the two sees it.

    Attributes:
        conversation: The conversation.
        other_id: Who the other one is.
        unread: How many of the other's messages are new.
    """

    conversation: Conversation
    other_id: UserId
    unread: int


class Conversations(Repository[Conversation, ConversationId]):
    """The conversations, one for each pair of users."""

    document = Conversation

    async def open(self, user_id: UserId, other_id: UserId) -> Conversation:
        """Return the conversation of the two; create it where there is none, however many open it at once.

        One round trip where there is one, else 3; by_participantIds.

        Raises:
            SelfConversationError: It is the same user.
            NotFoundError: There is no such user, where there is no conversation yet.
        """
        if user_id == other_id:
            raise SelfConversationError
        pair = sorted((user_id, other_id))
        while True:
            found = await self._one(_of_pair(pair), durable=True)
            if found is not None:
                return found
            await self._require_both(user_id, other_id)
            try:
                return await self._insert(self.document(participant_ids=pair, last_message_at=self._now()))
            except DuplicateKeyError:
                # Somebody was faster, and may have deleted it again. In a transaction that is a conflict instead, and
                # all of it is tried again.
                if self._connection.transaction_is_open():
                    raise

    async def between(self, user_id: UserId, other_id: UserId) -> Conversation | None:
        """The conversation of the two, in whichever order. One round trip, by_participantIds."""
        return await self._one(_of_pair(sorted((user_id, other_id))))

    async def inbox(self, user_id: UserId, *, limit: Limit = 20, after: Cursor | None = None) -> Page[InboxEntry]:
        """The user's conversations, the newest message first, with what is unread. 2 round trips.

        Served by by_participantIds_and_lastMessageAt, and for the whole page at once by by_conversationId_and_senderId:
        a key and a document for each unread message.
        """
        page = await self._page({"participantIds": user_id}, "by_participantIds_and_lastMessageAt", limit, after)
        if not page.items:
            return Page([])
        cursor = await self._of(Message).aggregate(
            [
                {"$match": _unread(user_id, [conversation.id for conversation in page.items])},
                {"$group": {"_id": "$conversationId", "count": {"$sum": 1}}},
            ],
            hint="by_conversationId_and_senderId",
        )
        unread = {group["_id"]: group["count"] for group in await cursor.to_list()}
        entries = [
            InboxEntry(conversation, _other_than(user_id, conversation), unread.get(conversation.id, 0))
            for conversation in page.items
        ]
        return Page(entries, page.next)

    async def unread_count(self, user_id: UserId) -> int:
        """How many messages to the user are new, in all conversations. 2 round trips.

        Served by by_participantIds_and_lastMessageAt and by_conversationId_and_senderId: a key and a document for each
        conversation, and for each unread message.
        """
        mine = [{"$match": {"participantIds": user_id}}, {"$group": {"_id": None, "ids": {"$push": "$_id"}}}]
        # One group, since a cursor over many conversations would take several round trips.
        cursor = await self._collection.aggregate(mine, hint="by_participantIds_and_lastMessageAt")
        ids = [id for group in await cursor.to_list() for id in group["ids"]]
        if not ids:
            return 0
        return await self._of(Message).count_documents(_unread(user_id, ids), hint="by_conversationId_and_senderId")

    async def delete(self, id: ConversationId) -> None:
        """Remove the conversation for good, with its messages. A transaction of 3 round trips, by_conversationId.

        Messages that are too many for one transaction are removed in batches, behind the conversation: they are not
        listed or found any more.

        Raises:
            NotFoundError: There is none.
            IncompleteError: Some of the batches did not succeed: calling it again completes them.
        """

        async def delete() -> bool:
            # Sending writes to the conversation, so a message that is sent at this moment conflicts.
            return (await self._collection.delete_one({"_id": id})).deleted_count == 1

        await self._delete_with(id, delete, [Children(Message, "conversationId", "by_conversationId")])

    async def _require_both(self, *user_ids: UserId) -> None:
        users = await self._of(User).find({"_id": {"$in": user_ids}}, {"_id": 1}).to_list()
        found = {user["_id"] for user in users}
        for id in user_ids:
            if id not in found:
                raise not_found(User, id)


def _of_pair(pair: list[UserId]) -> dict[str, Any]:
    return {"participantIds.0": pair[0], "participantIds.1": pair[1]}


def _other_than(user_id: UserId, conversation: Conversation) -> UserId:
    one, other = conversation.participant_ids
    return other if user_id == one else one


def _unread(user_id: UserId, conversation_ids: list[ConversationId]) -> dict[str, Any]:
    return {"conversationId": {"$in": conversation_ids}, "senderId": {"$ne": user_id}, **UNREAD}
