"""The turns of a host: processes wait for each other, in order, instead of conflicting.

A service usually runs several processes on one host. If they write the same document, the kernel keeps them in line:
each document corresponds to a byte of one file, and the process that holds the lock on that byte has the turn. The
kernel frees the locks of a process that dies.

Like the turns of a process, they only save work. Without the file, or if a process that has a turn is stopped,
transactions conflict and pause.
"""

import asyncio
import hashlib
import os
import stat
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from datalayer.engine.turns import Contention, Key

try:
    import fcntl
except ImportError:  # pragma: no cover - Windows
    fcntl = None

CONTENDED_SECONDS = 1.0
"""How long processes take turns after a conflict between them, or after one waited for another, in seconds."""

LONGEST_WAIT = 1.0
"""The maximum wait for a turn, in seconds: the process that has it may be stopped."""

_WAKING = 0.002
"""How long a waiting process may take to wake up, in seconds. Until then, do not overtake it."""

_OFFSETS = 1 << 62


class HostTurns:
    """The turns that this process shares with the others on this host.

    Args:
        database: The name of the database. Its address does not matter, because ids are unique.
        folder: The folder of the file; defaults to the one for temporary files.
    """

    def __init__(self, database: str, folder: Path | None = None) -> None:
        self.contended = Contention(CONTENDED_SECONDS)
        self._database = database
        self._folder = folder
        self._file: int | None = None
        self._given_up: set[int] = set()
        self._ended = -1, 0.0

    def offset(self, key: Key) -> int:
        """Return the offset of the document's byte."""
        name, id = key
        text = f"{self._database}/{name}/{id}"
        return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") % _OFFSETS

    def take(self, offset: int) -> bool:
        """Take the turn if it is free and no other process may be waking up to take it. Return whether it was taken."""
        if self._ended[0] == offset and time.monotonic() - self._ended[1] < _WAKING:
            return False
        return self._lock(offset, wait=False)

    async def wait(self, key: Key, offset: int) -> bool:
        """Wait for the turn behind the processes that came before. Return `False` if it did not come in time."""
        if self._file is None or offset in self._given_up:
            return False
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[bool] = loop.create_future()

        def settle(*, taken: bool, waited: bool) -> None:
            self._given_up.discard(offset)
            if waited:
                self.contended.note([key])
            if not answer.done():
                answer.set_result(taken)
            elif taken:
                self.give_back(offset)

        # A thread that waits for a lock cannot be interrupted. A daemon thread does not delay the end of the process.
        threading.Thread(target=self._wait, args=(offset, loop, settle), daemon=True).start()
        try:
            async with asyncio.timeout(LONGEST_WAIT):
                return await answer
        except TimeoutError:
            return False
        finally:
            if answer.cancelled():
                # The thread still waits. Until it gets the lock, and frees it, no other task waits for this turn.
                self._given_up.add(offset)

    def give_back(self, offset: int) -> None:
        """Give the turn back."""
        self._ended = offset, time.monotonic()
        if self._file is not None and fcntl is not None:
            with suppress(OSError):
                fcntl.lockf(self._file, fcntl.LOCK_UN, 1, offset)

    def _wait(self, offset: int, loop: asyncio.AbstractEventLoop, settle: Callable[..., None]) -> None:
        waited = not self._lock(offset, wait=False)
        taken = not waited or self._lock(offset, wait=True)
        try:
            loop.call_soon_threadsafe(lambda: settle(taken=taken, waited=waited))
        except RuntimeError:
            # The event loop is closed.
            self.give_back(offset)

    def _lock(self, offset: int, *, wait: bool) -> bool:
        if fcntl is None:  # pragma: no cover - Windows
            return False
        try:
            if self._file is None:
                self._file = _opened(self._folder or Path(tempfile.gettempdir()))
            fcntl.lockf(self._file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB, 1, offset)
        except OSError:
            return False
        return True


_files: dict[Path, int] = {}


def _opened(folder: Path) -> int:
    """Open the file of this user. It stays open until the process ends, because closing it would free all locks.

    Raises:
        OSError: The file cannot be opened or created, or its folder belongs to somebody else.
    """
    if folder not in _files:
        own = folder / f"datalayer-{os.getuid()}"
        own.mkdir(mode=0o700, exist_ok=True)
        found = own.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
            raise PermissionError(own)
        _files[folder] = os.open(own / "turns", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    return _files[folder]
