"""Conversations between two users, and their messages."""

from collections.abc import Iterator
from typing import Any

from bson import ObjectId

from datalayer.documents.conversations import PREVIEW_LENGTH
from datalayer.engine.clock import MINUTE, SECOND
from datalayer.seeding.draws import Every, Ids, source
from datalayer.seeding.phrases import Writer
from datalayer.seeding.tables.users import People
from datalayer.seeding.world import World

_DELETED = Every(23, 9)


class Conversations:
    """The pairs of users who talk. The messages are computed from the number of the conversation."""

    def __init__(self, world: World, people: People) -> None:
        self._world, self._people = world, people
        self._ids, self._messages = Ids(world, "conversations"), Ids(world, "messages")
        self.marks = (self._ids.mark, self._messages.mark)
        self.count = world.conversations
        self.message_count = sum(self._of(number) for number in range(self.count))
        self._pairs = self._make_pairs()

    def _of(self, number: int) -> int:
        return 1 + number * 7 % (2 * self._world.messages_per_conversation)

    def _make_pairs(self) -> list[tuple[int, int]]:
        random, total = source(self._world, "conversations"), self._people.count
        # A dict, because a set has no order.
        pairs: dict[tuple[int, int], None] = {}
        while len(pairs) < self.count:
            one, other = int(total * random.random() ** 2), random.randrange(total)
            if one != other:
                pairs[min(one, other), max(one, other)] = None
        return list(pairs)

    def _opened(self, number: int) -> int:
        met = max(self._people.created[user] for user in self._pairs[number])
        draw = source(self._world, f"opened {number}").random()
        return met + int(draw * (self._world.now - met))

    def _talk(self, number: int, first: int, conversation: ObjectId, opened: int) -> list[dict[str, Any]]:
        """Return the messages of a conversation; `first` is the number of messages in all earlier conversations."""
        random = source(self._world, f"talk {number}")
        writer = Writer(random)
        total = self._of(number)
        window = self._world.between(opened, 30)
        rows: list[dict[str, Any]] = []
        for step in range(total):
            sender = self._pairs[number][(number + step + step // 3) % 2]
            created = opened + window * (step + 1) // (total + 1)
            row: dict[str, Any] = {
                "_id": self._messages.make(created, first + step),
                "conversationId": conversation,
                "senderId": self._people.ids[sender],
                "senderName": self._people.names[sender],
                "content": writer.write("messages", "going_on" if step else "opening"),
                "createdAt": created,
            }
            if step < total - number % 3:
                row["readAt"] = min(self._world.now, created + random.randrange(SECOND, 20 * MINUTE))
            if step and first + step in _DELETED:
                row["deletedAt"] = min(self._world.now, created + random.randrange(MINUTE, 30 * MINUTE))
            rows.append(row)
        return rows

    def _talks(self) -> Iterator[tuple[int, ObjectId, list[dict[str, Any]]]]:
        first = 0
        for number in range(self.count):
            opened = self._opened(number)
            conversation = self._ids.make(opened, number)
            yield number, conversation, self._talk(number, first, conversation, opened)
            first += self._of(number)

    def rows(self) -> Iterator[dict[str, Any]]:
        """The conversations."""
        for number, conversation, messages in self._talks():
            last = next(message for message in reversed(messages) if "deletedAt" not in message)
            yield {
                "_id": conversation,
                "participantIds": sorted(self._people.ids[user] for user in self._pairs[number]),
                "lastMessageAt": last["createdAt"],
                "lastMessagePreview": last["content"][:PREVIEW_LENGTH],
            }

    def message_rows(self) -> Iterator[dict[str, Any]]:
        """The messages."""
        for _, _, messages in self._talks():
            yield from messages
