"""Shows the progress: on a terminal a bar for each collection, otherwise a line for each."""

from collections.abc import Generator
from contextlib import contextmanager

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from datalayer.seeding import Observer, Table


@contextmanager
def progress() -> Generator[Observer]:
    """Yield the observer that suits the output: a terminal or not."""
    console = Console()
    if not console.is_terminal:
        yield Lines()
        return
    columns = (TextColumn("{task.description:<18}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as bars:
        yield Bars(bars)


class Bars:
    """Shows a bar for each collection."""

    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._task = TaskID(0)

    def started(self, table: Table) -> None:
        """Add a bar for the collection."""
        self._task = self._bars.add_task(table.name, total=table.count)

    def inserted(self, number: int) -> None:
        """Advance the bar."""
        self._bars.advance(self._task, number)

    def finished(self, seconds: float) -> None:  # noqa: ARG002 - the bar shows it
        """Stop the bar."""
        self._bars.stop_task(self._task)


class Lines:
    """Prints a line for each finished collection."""

    def __init__(self) -> None:
        self._name = ""
        self._inserted = 0

    def started(self, table: Table) -> None:
        """Remember the collection."""
        self._name, self._inserted = table.name, 0

    def inserted(self, number: int) -> None:
        """Count the documents."""
        self._inserted += number

    def finished(self, seconds: float) -> None:
        """Print the line."""
        click.echo(f"{self._name:<18} {self._inserted:>11,} {seconds:>8.1f} s")
