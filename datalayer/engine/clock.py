"""Time in Unix milliseconds, the unit of all timestamps."""

import time
from collections.abc import Callable
from typing import TypeAlias

Clock: TypeAlias = Callable[[], int]
"""Return the current time in Unix milliseconds. Every timestamp that a repository writes comes from a clock."""

SECOND = 1_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR


def system_clock() -> int:
    """Return the system time in Unix milliseconds."""
    return time.time_ns() // 1_000_000
