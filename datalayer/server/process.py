"""Starts a `mongod` process that never outlives its parent process."""

import ctypes
import functools
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

_PR_SET_PDEATHSIG = 1


def spawn(command: Sequence[str], output: Path) -> subprocess.Popen[bytes]:
    """Start a program, and append its output to a file.

    The program is killed when the calling thread ends, however it ends. Linux ties the signal to the thread, not to
    the process, so call this in the event loop's thread, never in a worker thread.
    """
    with output.open("ab") as file:
        return subprocess.Popen(  # noqa: S603 - the program is the one that the user installed
            command,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            # With an unknown locale, mongod does not start.
            env={**os.environ, "LC_ALL": "C"},
            # Ctrl-C in a terminal signals the whole process group. This process shuts the server down cleanly instead.
            start_new_session=True,
            preexec_fn=_before_exec(),  # noqa: PLW1509 - safe as it is written
        )


def _before_exec() -> Callable[[], None]:
    """Return what the child runs between fork and exec.

    Other threads of the parent may hold any lock at the fork, so the child must not import, look up symbols or log.
    Everything is prepared here; the child only makes a few system calls.
    """
    import resource  # noqa: PLC0415 - Windows has no such module, and there importing the library must work

    parent = os.getpid()
    calls: list[Callable[[], object]] = []
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY:
        # mongod opens a file per collection and per index, and aborts when it runs out of descriptors.
        calls.append(functools.partial(resource.setrlimit, resource.RLIMIT_NOFILE, (hard, hard)))
    if sys.platform == "linux":
        # SIGKILL, because a hanging server would survive SIGTERM. The journal has every acknowledged write.
        calls.append(functools.partial(ctypes.CDLL(None).prctl, _PR_SET_PDEATHSIG, int(signal.SIGKILL)))

    def prepare() -> None:
        for call in calls:
            call()
        # If the parent ended before prctl was called, the signal never comes.
        if os.getppid() != parent:
            os._exit(1)

    return prepare
