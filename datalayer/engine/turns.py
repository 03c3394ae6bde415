"""The turns of a process: transactions that write the same documents wait for each other instead of conflicting.

A transaction of MongoDB never waits. A write to a document that has changed since the transaction began fails at once,
and the work before it was for nothing. So transactions of one process take turns, before they begin wherever it is
known which documents they will write.

Turns only save work. What is correct is decided by the server alone: other processes know nothing of these turns.
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

    It looks like a conflict that the server found: the attempt is undone, and made again when it has the turn.

    Attributes:
        keys: The documents.
    """

    def __init__(self, keys: Collection[Key]) -> None:
        super().__init__("another task of this process writes the same document", ["TransientTransactionError"])
        self.keys = keys


class Turns:
    """Whose turn it is to write a document, and who waits for it, in the order of their arrival."""

    def __init__(self) -> None:
        # A document is here while somebody has its turn.
        self._lines: dict[Key, deque[asyncio.Future[None]]] = {}
        self._holds: dict[str, float] = {}
        self.handed_over = 0
        """How often somebody had to wait for a turn, and got it."""

    def take(self, key: Key) -> bool:
        """Take the turn, if nobody has it."""
        if key in self._lines:
            return False
        self._lines[key] = deque()
        return True

    async def wait(self, key: Key) -> None:
        """Take the turn, behind those who came before."""
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
        """Hand the turn over to who waits for it first."""
        line = self._lines[key]
        while line:
            waiting = line.popleft()
            if not waiting.done():
                waiting.set_result(None)
                self.handed_over += 1
                return
        del self._lines[key]

    def held(self, keys: Iterable[Key], seconds: float) -> None:
        """Note how long a transaction took that wrote these documents."""
        for name in {name for name, _ in keys}:
            before = self._holds.get(name, _FIRST_HOLD)
            # A single slow one, such as the first of a connection, says little.
            self._holds[name] = before + (_SLOWER if seconds > before else _FASTER) * (seconds - before)

    def hold(self, keys: Iterable[Key]) -> float:
        """How long a transaction takes that writes these documents, in seconds: a moving average."""
        return max((self._holds.get(name, _FIRST_HOLD) for name, _ in keys), default=_FIRST_HOLD)


class Contention:
    """Which documents others write at present, too.

    Args:
        seconds: How long a document counts as contended after a conflict.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._noted: dict[Key, float] = {}

    def note(self, keys: Collection[Key]) -> None:
        """Note a conflict about one of these documents: nobody knows which. Of very many, none is noted."""
        if len(keys) > _MANY:
            return
        if len(self._noted) > _MAX_CONTENDED:
            self._noted.clear()
        self._noted.update(dict.fromkeys(keys, time.monotonic()))

    def among(self, keys: Iterable[Key]) -> list[Key]:
        """Those of the documents that are contended, sorted."""
        if not self._noted:
            return []
        since = time.monotonic() - self._seconds
        return sorted(key for key in keys if self._noted.get(key, 0.0) > since)
