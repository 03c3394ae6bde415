"""The turns that one transaction has."""

import time
from collections.abc import Iterable

from datalayer.engine.host_turns import HostTurns
from datalayer.engine.turns import Key, Turns


class HeldTurns:
    """The turns that one transaction has, through all of its attempts: of its process, and where needed of its host.

    It waits for a turn only while it has none, or has those alone that sort before it: so no two transactions wait for
    each other. Any other turn it takes only if it is free.
    """

    def __init__(self, turns: Turns, host_turns: HostTurns) -> None:
        self._turns, self._host_turns = turns, host_turns
        self.keys: set[Key] = set()
        self.since = time.monotonic()
        """When the attempt began, or last waited for a turn."""
        # None for a turn of the host that was not given in time.
        self._of_host: dict[Key, int | None] = {}

    def missing(self, keys: Iterable[Key]) -> list[Key]:
        """Take the turns that are free; those that are not."""
        return [key for key in keys if not self._take(key)]

    async def wait(self, keys: Iterable[Key]) -> None:
        """Wait for these turns; those that it has and that sort behind one of them are given back, and waited for."""
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
        """Take the turns of the host from now on, for all that it has; return whether it did not do so before."""
        if self._of_host.keys() >= self.keys:
            return False
        self._host_turns.contended.note(self.keys)
        return bool(self._host_turns.contended.among(self.keys))

    def give_back(self) -> None:
        """End the turns."""
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
        """Take a turn of the host, if processes take turns there, and if it is free; return whether not to wait."""
        if key in self._of_host or not self._host_turns.contended.among([key]):
            return True
        offset = self._host_turns.offset(key)
        if self._host_turns.take(offset):
            self._of_host[key] = offset
            return True
        return False
