"""How the progress is shown: a bar for each table on a terminal, a line for each elsewhere."""

from collections.abc import Generator
from contextlib import contextmanager

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from datalayer.seeding import Observer, Table


@contextmanager
def progress() -> Generator[Observer]:
    """What fits the place that the output goes to."""
    console = Console()
    if not console.is_terminal:
        yield Lines()
        return
    columns = (TextColumn("{task.description:<18}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as bars:
        yield Bars(bars)


class Bars:
    """A bar for each table."""

    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._task = TaskID(0)

    def started(self, table: Table) -> None:
        """Put up the table's bar."""
        self._task = self._bars.add_task(table.name, total=table.count)

    def inserted(self, number: int) -> None:
        """Move it."""
        self._bars.advance(self._task, number)

    def finished(self, seconds: float) -> None:  # noqa: ARG002 - the bar shows it
        """Stop it."""
        self._bars.stop_task(self._task)


class Lines:
    """A line for each table when it is done."""

    def __init__(self) -> None:
        self._name = ""
        self._inserted = 0

    def started(self, table: Table) -> None:
        """Remember the table."""
        self._name, self._inserted = table.name, 0

    def inserted(self, number: int) -> None:
        """Count."""
        self._inserted += number

    def finished(self, seconds: float) -> None:
        """Say it."""
        click.echo(f"{self._name:<18} {self._inserted:>11,} {seconds:>8.1f} s")
