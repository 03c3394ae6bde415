"""Conversations between two users, and their messages."""

from collections.abc import Sequence
from typing import Annotated, ClassVar

from pydantic import Field, field_validator
from pydantic_core import PydanticCustomError

from datalayer.engine.document import Document, new_id
from datalayer.engine.fields import Count, MessageText, Name, Text, Timestamp
from datalayer.engine.indexes import Index, TableSettings
from datalayer.ids import ConversationId, MessageId, UserId

PREVIEW_LENGTH = 140


class Conversation(Document):
    """A conversation between two users.

    `participant_ids` are sorted ascending. `last_message_*` follow the newest message.
    """

    id: ConversationId = new_id()
    participant_ids: Annotated[list[UserId], Field(min_length=2, max_length=2)]
    last_message_at: Timestamp
    last_message_preview: Annotated[str, Text(0, PREVIEW_LENGTH)] | None = None
    revision: Count | None = None

    @field_validator("participant_ids")
    @classmethod
    def _are_in_order(cls, participant_ids: list[UserId]) -> list[UserId]:
        """The same rule as `check`, for documents that never reach the server."""
        one, other = participant_ids
        if one >= other:
            raise PydanticCustomError("ascending", "must be two different users in ascending order")
        return participant_ids

    class Settings(TableSettings):
        """The collection."""

        name = "conversations"
        # One order, so the unique index sees each pair once; and two different users.
        check: ClassVar = {
            "$expr": {
                "$cond": [
                    {"$isArray": "$participantIds"},
                    {"$lt": [{"$first": "$participantIds"}, {"$last": "$participantIds"}]},
                    False,
                ]
            }
        }
        written_by = "community.conversations: open"
        indexes: ClassVar[Sequence[Index]] = (
            Index("by_lastMessageAt", "lastMessageAt"),
            Index(
                "by_participantIds_and_lastMessageAt",
                *("participantIds", "lastMessageAt"),
                why="a user's inbox, newest message first",
            ),
            Index(
                "by_participantIds",
                *("participantIds.0", "participantIds.1"),
                unique=True,
                why="one conversation per pair of users",
            ),
        )


class Message(Document):
    """A message from one participant to the other. `sender_name` is a copy of the sender's name."""

    id: MessageId = new_id()
    conversation_id: ConversationId
    sender_id: UserId
    sender_name: Name
    content: MessageText
    read_at: Timestamp | None = None
    created_at: Timestamp
    deleted_at: Timestamp | None = None

    class Settings(TableSettings):
        """The collection."""

        name = "messages"
        written_by = "community.messages: send, mark_read, delete"
        shard_key = ("conversationId", "_id")
        indexes: ClassVar[Sequence[Index]] = (
            Index("by_conversationId", "conversationId"),
            Index("by_conversationId_and_createdAt", "conversationId", "createdAt"),
            Index("by_senderId", "senderId", why="updates of the copies of a sender's name"),
            Index(
                "by_conversationId_and_senderId",
                *("conversationId", "senderId"),
                where={"readAt": None, "deletedAt": None},
                why="the unread messages of a conversation",
            ),
        )
