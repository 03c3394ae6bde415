"""Processes that have to end."""

import time
from pathlib import Path

import pytest


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
