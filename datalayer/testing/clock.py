"""A clock that tests control."""

from datalayer.engine.clock import system_clock


class FrozenClock:
    """A clock that stands still until a test moves it. It is a `Clock`: pass it to `connect` or `over`.

    Attributes:
        now: The current time, in Unix milliseconds.
    """

    def __init__(self, now: int | None = None) -> None:
        """Create a clock that stands still.

        Args:
            now: The time, in Unix milliseconds. Defaults to the system time.
        """
        self.now = system_clock() if now is None else now

    def __call__(self) -> int:
        """Return the current time, in Unix milliseconds."""
        return self.now

    def __repr__(self) -> str:
        return f"FrozenClock({self.now})"

    def advance(self, milliseconds: int) -> None:
        """Advance the clock: `datalayer_clock.advance(3 * DAY)`, with the units of `datalayer.engine.clock`."""
        self.now += milliseconds

    def set(self, now: int) -> None:
        """Set the clock, also to a time in the past."""
        self.now = now
