"""How the progress is shown: a line for each table that is written, and a bar for the next one on a terminal."""

from collections.abc import Generator
from contextlib import contextmanager

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from datalayer.seeding import Observer, Table


@contextmanager
def progress() -> Generator[Observer]:
    """Give what fits the place that the output goes to."""
    console = Console()
    if not console.is_terminal:
        yield Lines()
        return
    columns = (TextColumn("{task.description:<18}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bars:
        yield Bar(bars)


class Lines:
    """A line for each table when it is written."""

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
        """Print the line."""
        self._print(f"  {self._name:<18} {self._inserted:>11,} {seconds:>8.1f} s")

    def _print(self, line: str) -> None:
        click.echo(line)


class Bar(Lines):
    """The same above a bar, which shows how much of the table is written."""

    def __init__(self, bars: Progress) -> None:
        super().__init__()
        self._bars = bars
        self._task = bars.add_task("", visible=False)

    def started(self, table: Table) -> None:
        """Begin the bar anew."""
        super().started(table)
        self._bars.reset(self._task, total=table.count, description=table.name, visible=True)

    def inserted(self, number: int) -> None:
        """Move the bar."""
        super().inserted(number)
        self._bars.advance(self._task, number)

    def _print(self, line: str) -> None:
        self._bars.console.print(line, highlight=False)
