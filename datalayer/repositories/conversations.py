"""Conversations between two users."""

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
    """A conversation as one of its participants sees it.

    Attributes:
        conversation: The conversation.
        other_id: The other participant.
        unread: The number of unread messages from the other participant.
    """

    conversation: Conversation
    other_id: UserId
    unread: int


class Conversations(Repository[Conversation, ConversationId]):
    """The conversations, one for each pair of users."""

    document = Conversation

    async def open(self, user_id: UserId, other_id: UserId) -> Conversation:
        """Return the conversation of two users; create it if there is none. Idempotent, also when called concurrently.

        Raises:
            SelfConversationError: Both ids are the same.
            NotFoundError: There is no conversation yet, and one of the users does not exist.

        Cost: 1 round trip if the conversation exists, 3 if it is created; index by_participantIds.
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
                # A concurrent call created it, and it may even be deleted again. Inside a transaction this is a
                # conflict, and the whole transaction is retried.
                if self._connection.transaction_is_open():
                    raise

    async def between(self, user_id: UserId, other_id: UserId) -> Conversation | None:
        """Return the conversation of two users, in either order, or `None`.

        Cost: 1 round trip; index by_participantIds.
        """
        return await self._one(_of_pair(sorted((user_id, other_id))))

    async def inbox(self, user_id: UserId, *, limit: Limit = 20, after: Cursor | None = None) -> Page[InboxEntry]:
        """Return a page of the user's conversations with their unread counts, those with the newest message first.

        Cost: 2 round trips; indexes by_participantIds_and_lastMessageAt and, once for the whole page,
        by_conversationId_and_senderId (one key and one document per unread message).
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
        """Count the user's unread messages in all conversations.

        Cost: 2 round trips; indexes by_participantIds_and_lastMessageAt and by_conversationId_and_senderId; one key and
        one document per conversation and per unread message.
        """
        mine = [{"$match": {"participantIds": user_id}}, {"$group": {"_id": None, "ids": {"$push": "$_id"}}}]
        # One group: a cursor over many conversations would take several round trips.
        cursor = await self._collection.aggregate(mine, hint="by_participantIds_and_lastMessageAt")
        ids = [id for group in await cursor.to_list() for id in group["ids"]]
        if not ids:
            return 0
        return await self._of(Message).count_documents(_unread(user_id, ids), hint="by_conversationId_and_senderId")

    async def delete(self, id: ConversationId) -> None:
        """Delete the conversation with its messages, permanently.

        If there are too many messages for one transaction, the conversation is deleted first and its messages follow in
        batches. Those messages are no longer listed or found.

        Raises:
            NotFoundError: The conversation does not exist.
            IncompleteError: Some batches failed. Call the method again to finish.

        Cost: one transaction, 3 round trips; index by_conversationId.
        """

        async def delete() -> bool:
            # `send` writes to the conversation, so a concurrent message conflicts.
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
