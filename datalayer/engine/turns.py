"""Turns: transactions of one process that write the same documents wait for each other instead of conflicting.

Transactions in MongoDB do not wait. A write to a document that has changed since the transaction began fails
immediately, and the work before it is lost. So transactions of one process take turns; if the documents that they will
write are known, before they begin.

Turns only save work. The server alone ensures correctness: other processes know nothing of these turns.
"""

import asyncio
import time
from collections import deque
from collections.abc import Collection, Iterable
from typing import TypeAlias

from bson import ObjectId
from pymongo.errors import PyMongoError

Key: TypeAlias = tuple[str, ObjectId]
"""A document: the name of its collection, and its id."""

_FIRST_HOLD = 0.01
_SLOWER, _FASTER = 0.05, 0.3
_MAX_CONTENDED = 10_000
_MANY = 100


class TurnTakenError(PyMongoError):
    """Another task has the turn of a document that the transaction is about to write.

    It is handled like a write conflict: the attempt is rolled back, and retried once the transaction has the turn.

    Attributes:
        keys: The documents.
    """

    def __init__(self, keys: Collection[Key]) -> None:
        super().__init__("another task of this process writes the same document", ["TransientTransactionError"])
        self.keys = keys


class Turns:
    """The turns of all documents, each with a queue of those who wait for it."""

    def __init__(self) -> None:
        # A document is here while somebody has its turn.
        self._lines: dict[Key, deque[asyncio.Future[None]]] = {}
        self._holds: dict[str, float] = {}
        self.handed_over = 0
        """The number of turns that were handed over to a waiting task."""

    def take(self, key: Key) -> bool:
        """Take the turn if it is free. Return whether it was."""
        if key in self._lines:
            return False
        self._lines[key] = deque()
        return True

    async def wait(self, key: Key) -> None:
        """Wait in the queue, and take the turn."""
        if self.take(key):
            return
        handed_over = asyncio.get_running_loop().create_future()
        self._lines[key].append(handed_over)
        try:
            await handed_over
        except BaseException:
            if handed_over.done() and not handed_over.cancelled():
                self.give_back(key)
            raise

    def give_back(self, key: Key) -> None:
        """Pass the turn to the first in the queue, or free it."""
        line = self._lines[key]
        while line:
            waiting = line.popleft()
            if not waiting.done():
                waiting.set_result(None)
                self.handed_over += 1
                return
        del self._lines[key]

    def held(self, keys: Iterable[Key], seconds: float) -> None:
        """Record how long a transaction that wrote these documents took."""
        for name in {name for name, _ in keys}:
            before = self._holds.get(name, _FIRST_HOLD)
            # A single slow one, such as the first of a connection, says little.
            self._holds[name] = before + (_SLOWER if seconds > before else _FASTER) * (seconds - before)

    def hold(self, keys: Iterable[Key]) -> float:
        """Return the average duration of a transaction that writes these documents, in seconds: a moving average."""
        return max((self._holds.get(name, _FIRST_HOLD) for name, _ in keys), default=_FIRST_HOLD)


class Contention:
    """The documents that other processes are writing.

    Args:
        seconds: How long a document counts as contended after a conflict.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._noted: dict[Key, float] = {}

    def note(self, keys: Collection[Key]) -> None:
        """Record a conflict about one of these documents. Ignored for very many, of which the next one is another."""
        if len(keys) > _MANY:
            return
        if len(self._noted) > _MAX_CONTENDED:
            self._noted.clear()
        self._noted.update(dict.fromkeys(keys, time.monotonic()))

    def among(self, keys: Iterable[Key]) -> list[Key]:
        """Return those of the documents that are contended, sorted."""
        if not self._noted:
            return []
        since = time.monotonic() - self._seconds
        return sorted(key for key in keys if self._noted.get(key, 0.0) > since)
