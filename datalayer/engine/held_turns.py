"""The turns that one transaction holds."""

import time
from collections.abc import Iterable

from datalayer.engine.host_turns import HostTurns
from datalayer.engine.turns import Key, Turns


class HeldTurns:
    """The turns that one transaction holds across all of its attempts: of its process, and if needed of its host.

    It waits for a turn only if it holds none, or only turns that sort before it, so transactions cannot deadlock. It
    takes any other turn only if it is free.
    """

    def __init__(self, turns: Turns, host_turns: HostTurns) -> None:
        self._turns, self._host_turns = turns, host_turns
        self.keys: set[Key] = set()
        self.since = time.monotonic()
        """When the attempt began, or stopped waiting for a turn."""
        # The lock's offset; `None` if the turn was not available in time.
        self._of_host: dict[Key, int | None] = {}

    def missing(self, keys: Iterable[Key]) -> list[Key]:
        """Take the turns that are free, and return the others."""
        return [key for key in keys if not self._take(key)]

    async def wait(self, keys: Iterable[Key]) -> None:
        """Wait for these turns. Held turns that sort after one of them are given back, and waited for again."""
        wanted = sorted({*self.keys, *keys})
        while wanted and self._take(wanted[0]):
            del wanted[0]
        self._give_back(wanted[1:])
        for key in wanted:
            if key not in self.keys:
                await self._turns.wait(key)
                self.keys.add(key)
            if not self._take_of_host(key):
                offset = self._host_turns.offset(key)
                self._of_host[key] = offset if await self._host_turns.wait(key, offset) else None
        self.since = time.monotonic()

    def take_of_host(self) -> bool:
        """Use turns of the host from now on. Return `False` if it already does for all its documents."""
        if self._of_host.keys() >= self.keys:
            return False
        self._host_turns.contended.note(self.keys)
        return bool(self._host_turns.contended.among(self.keys))

    def give_back(self) -> None:
        """Give all turns back."""
        self._give_back(list(self.keys))

    def _give_back(self, keys: Iterable[Key]) -> None:
        for key in keys:
            offset = self._of_host.pop(key, None)
            if offset is not None:
                self._host_turns.give_back(offset)
            if key in self.keys:
                self.keys.discard(key)
                self._turns.give_back(key)

    def _take(self, key: Key) -> bool:
        if key not in self.keys:
            if not self._turns.take(key):
                return False
            self.keys.add(key)
        return self._take_of_host(key)

    def _take_of_host(self, key: Key) -> bool:
        """Take a turn of the host if the document is contended and the turn is free. Return `False` to wait for it."""
        if key in self._of_host or not self._host_turns.contended.among([key]):
            return True
        offset = self._host_turns.offset(key)
        if self._host_turns.take(offset):
            self._of_host[key] = offset
            return True
        return False
