"""Time that a test is in charge of."""

from datalayer.engine.clock import system_clock


class FrozenClock:
    """A clock that stands still until it is told to move; it is a `Clock`, so databases take it.

    Attributes:
        now: The time, in Unix milliseconds.
    """

    def __init__(self, now: int | None = None) -> None:
        """Stop the time.

        Args:
            now: At which moment, in Unix milliseconds; at this one by default.
        """
        self.now = system_clock() if now is None else now

    def __call__(self) -> int:
        """The time, in Unix milliseconds."""
        return self.now

    def __repr__(self) -> str:
        return f"FrozenClock({self.now})"

    def advance(self, milliseconds: int) -> None:
        """Let time pass: `datalayer_clock.advance(3 * DAY)`, with the units of `datalayer.engine.clock`."""
        self.now += milliseconds

    def set(self, now: int) -> None:
        """Go to a moment, which may be in the past."""
        self.now = now
