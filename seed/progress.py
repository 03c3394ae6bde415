"""Shows the progress: a line for each collection, and on a terminal a bar for the current one."""

from collections.abc import Generator
from contextlib import contextmanager

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from datalayer.seeding import Observer, Table


@contextmanager
def progress() -> Generator[Observer]:
    """Yield the observer that suits the output: a terminal or not."""
    console = Console()
    if not console.is_terminal:
        yield Lines()
        return
    columns = (TextColumn("{task.description:<18}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bars:
        yield Bar(bars)


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
        self._print(f"  {self._name:<18} {self._inserted:>11,} {seconds:>8.1f} s")

    def _print(self, line: str) -> None:
        click.echo(line)


class Bar(Lines):
    """Prints the same lines above a progress bar for the current collection."""

    def __init__(self, bars: Progress) -> None:
        super().__init__()
        self._bars = bars
        self._task = bars.add_task("", visible=False)

    def started(self, table: Table) -> None:
        """Reset the bar."""
        super().started(table)
        self._bars.reset(self._task, total=table.count, description=table.name, visible=True)

    def inserted(self, number: int) -> None:
        """Advance the bar."""
        super().inserted(number)
        self._bars.advance(self._task, number)

    def _print(self, line: str) -> None:
        self._bars.console.print(line, highlight=False)
