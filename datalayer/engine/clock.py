"""Time, as the data has it: Unix milliseconds."""

import time
from collections.abc import Callable
from typing import TypeAlias

Clock: TypeAlias = Callable[[], int]
"""Gives the time now in Unix milliseconds; every timestamp that a repository writes comes from one."""

SECOND = 1_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR


def system_clock() -> int:
    """The system's time in Unix milliseconds."""
    return time.time_ns() // 1_000_000
