"""The process of a `mongod`: how it is started so that it never outlives the one that started it."""

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
    """Start a program whose output goes to the end of a file.

    It is killed when the thread that called this ends, however it ends. Linux ties the signal to the thread, not to
    the process: so this is called in the event loop's thread, never in a worker thread.
    """
    with output.open("ab") as file:
        return subprocess.Popen(  # noqa: S603 - the program is the one that the user installed
            command,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            # An unknown locale makes mongod refuse to start.
            env={**os.environ, "LC_ALL": "C"},
            # Ctrl-C in a terminal goes to the whole group: the server is stopped by us, in order, not by the terminal.
            start_new_session=True,
            preexec_fn=_before_exec(),  # noqa: PLW1509 - safe as it is written
        )


def _before_exec() -> Callable[[], None]:
    """What the child does between fork and exec.

    Other threads of the parent may hold any lock at the fork, so the child must not import, look up symbols or log:
    everything is prepared here, and a few system calls are left for there.
    """
    import resource  # noqa: PLC0415 - Windows has no such module, and there importing the library must work

    parent = os.getpid()
    calls: list[Callable[[], object]] = []
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY:
        # mongod holds a file per collection and per index, and aborts when there is no descriptor left.
        calls.append(functools.partial(resource.setrlimit, resource.RLIMIT_NOFILE, (hard, hard)))
    if sys.platform == "linux":
        # SIGKILL, not SIGTERM: a server that hangs would survive that. The journal has every acknowledged write.
        calls.append(functools.partial(ctypes.CDLL(None).prctl, _PR_SET_PDEATHSIG, int(signal.SIGKILL)))

    def prepare() -> None:
        for call in calls:
            call()
        # A parent that was gone before it could be watched will never send the signal.
        if os.getppid() != parent:
            os._exit(1)

    return prepare
