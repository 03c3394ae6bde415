"""How often the driver had to try again."""

from collections import Counter

from pymongo.monitoring import CommandFailedEvent, CommandListener, CommandStartedEvent, CommandSucceededEvent

_WRITE_CONFLICT = 112


class Attempts(CommandListener):
    """Counts the commands: all that were sent, `conflicts` of transactions, and those `lost` with their server."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def started(self, event: CommandStartedEvent) -> None:
        """A command is on its way."""
        del event
        self.counts["sent"] += 1

    def succeeded(self, event: CommandSucceededEvent) -> None:
        """Of no interest."""

    def failed(self, event: CommandFailedEvent) -> None:
        """A command was refused, or its connection was lost."""
        self.counts["conflicts" if event.failure.get("code") == _WRITE_CONFLICT else "lost"] += 1
