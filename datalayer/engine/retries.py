"""Retries transactions: takes turns before an attempt, and pauses between attempts."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Any, TypeVar

from pymongo import ReadPreference, WriteConcern
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import PyMongoError
from pymongo.read_concern import ReadConcern

from datalayer.engine.driver import time_left
from datalayer.engine.held_turns import HeldTurns
from datalayer.engine.host_turns import HostTurns
from datalayer.engine.transactions import attempt, wait_for_turns
from datalayer.engine.translation import is_transient
from datalayer.engine.turns import Contention, Key, Turns, TurnTakenError

T = TypeVar("T")

# Asked for explicitly: a URI may ask for less, and then an acknowledged write could be lost.
_MAJORITY = WriteConcern("majority")
_SNAPSHOT = ReadConcern("snapshot")

_CONFLICTING_SECONDS = 0.25
"""How long transactions lock a document first, in seconds, after a conflict despite all turns: with another host."""

_LONGEST_PAUSE = 8.0
_SHORTEST_PAUSE = 0.5
"""The maximum pause after a conflict, at first and later: as a multiple of the duration of a transaction that writes
the same documents."""

_IMPATIENCE = 0.5
"""How much the maximum pause shrinks with the time already spent: who has waited longest retries most often."""


class Retries:
    """Runs transactions until they are committed.

    Args:
        database: The database; its collections leave read and write concerns to the transaction.
        lock: Locks documents in the open transaction, by a write that changes no data.
    """

    def __init__(
        self, database: AsyncDatabase[dict[str, Any]], lock: Callable[[Sequence[Key]], Awaitable[None]]
    ) -> None:
        self._database = database
        self._lock = lock
        self.turns = Turns()
        self._host_turns = HostTurns(database.name)
        self._conflicting = Contention(_CONFLICTING_SECONDS)

    async def run(
        self, session: AsyncClientSession, work: Callable[[], Awaitable[T]], keys: Collection[Key], *, varies: bool
    ) -> T:
        """Run the work in transactions of the session until one of them is committed.

        Args:
            session: The session.
            work: The work; it may run several times.
            keys: The documents that the work will write and others may write too, as far as they are known.
            varies: Whether each attempt writes different documents. Then turns are given back after a conflict, and
                nothing is locked first.
        """
        held = HeldTurns(self.turns, self._host_turns)
        conflicting_since: float | None = None
        try:
            while True:
                try:
                    await wait_for_turns(held, keys)
                    return await self._attempt(session, work, held)
                except TurnTakenError as error:
                    keys = error.keys
                except PyMongoError as error:
                    left = time_left()
                    if not is_transient(error) or (left is not None and left <= 0):
                        raise
                    if varies:
                        held.give_back()
                    keys = held.keys
                    if held.take_of_host():
                        continue
                    self._conflicting.note(keys)
                    conflicting_since = conflicting_since or time.monotonic()
                    await asyncio.sleep(self._pause(held, time.monotonic() - conflicting_since))
        finally:
            held.give_back()

    async def _attempt(self, session: AsyncClientSession, work: Callable[[], Awaitable[T]], held: HeldTurns) -> T:
        async def locked_work() -> T:
            conflicting = self._conflicting.among(held.keys)
            if conflicting:
                # First, so that little is lost where another process was faster.
                await self._lock(conflicting)
            return await work()

        held.since = time.monotonic()
        await session.start_transaction(_SNAPSHOT, _MAJORITY, ReadPreference.PRIMARY)
        result = await attempt(session, self._database, locked_work, held)
        self.turns.held(held.keys, time.monotonic() - held.since)
        return result

    def _pause(self, held: HeldTurns, waited: float) -> float:
        """Return a random pause after a conflict, in seconds, so that two transactions do not collide again."""
        hold = self.turns.hold(held.keys)
        longest = max(_SHORTEST_PAUSE * hold, _LONGEST_PAUSE * hold - _IMPATIENCE * waited)
        return random.uniform(0, longest)  # noqa: S311 - not a secret
