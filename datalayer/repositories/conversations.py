"""Conversations of two, and their messages."""

from datalayer.documents.conversations import Conversation, Message
from datalayer.ids import ConversationId, MessageId
from datalayer.repositories.base import Repository, SoftDeletingRepository


class Conversations(Repository[Conversation, ConversationId]):
    """Conversations by id."""

    document = Conversation


class Messages(SoftDeletingRepository[Message, MessageId]):
    """Messages by id."""

    document = Message
