"""Programs that are called, and processes that have to end."""

import asyncio
import io
import sys
import time
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest


async def called(main: Callable[[], None], *arguments: str) -> tuple[int, str, str]:
    """The exit status of a program with these arguments, and what it prints and complains of.

    Its main function is called in this process, for another one would take a second to import the library.
    """
    with (
        pytest.MonkeyPatch.context() as patch,
        redirect_stdout(io.StringIO()) as output,
        redirect_stderr(io.StringIO()) as errors,
    ):
        patch.setattr(sys, "argv", ["program", *arguments])
        with pytest.raises(SystemExit) as ended:
            # It runs an event loop of its own.
            await asyncio.to_thread(main)
    return int(ended.value.code or 0), output.getvalue(), errors.getvalue()


def wait_until_gone(pid: int) -> None:
    """Fail where the process does not end within 10 s."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            # A zombie that nobody has reaped yet is as dead.
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return
        except (FileNotFoundError, ProcessLookupError):
            return
        time.sleep(0.01)
    pytest.fail(f"process {pid} still runs")
