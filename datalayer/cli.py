"""The `datalayer` command."""

import asyncio
import signal
import sys
from pathlib import Path

from datalayer import __version__
from datalayer.errors import DataLayerError
from datalayer.server.embedded import running

try:
    import click
    import rich as _rich  # noqa: F401 # pyright: ignore[reportUnusedImport] - the commands that show progress need it
except ModuleNotFoundError as missing:
    # Here and not in `main`: without click there is nothing to declare the commands with.
    sys.exit(f"The datalayer command needs {missing.name}: pip install 'opentribe-datalayer[cli]'")

_DATA_DIR = Path(".data")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="datalayer")
def cli() -> None:
    """The data layer's tools for development."""


@cli.command()
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path),
    default=None,
    help="Where the data is kept.  [default: .data]",
)
@click.option("--port", type=int, default=None, help="Where it listens.  [default: one that is free]")
@click.option("--replicas", type=int, default=1, show_default=True, metavar="1|3", help="How many nodes.")
@click.option("--temporary", is_flag=True, help="Keep nothing: the data is removed at the end.")
def server(data_dir: Path | None, port: int | None, replicas: int, *, temporary: bool) -> None:
    """Run a MongoDB server until Ctrl-C, and print its URI."""
    if temporary and data_dir is not None:
        raise click.UsageError("--temporary keeps nothing: it takes no --data-dir.")
    folder = None if temporary else data_dir or _DATA_DIR
    asyncio.run(_serve(folder, port=port, replicas=replicas))


async def _serve(data_dir: Path | None, *, port: int | None, replicas: int) -> None:
    """Serve until the first SIGINT or SIGTERM; a second one does not wait for an orderly stop."""
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - a coroutine always runs in one
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    try:
        async with running(data_dir, replicas=replicas, port=port) as servers:
            # Plain and first, so that a script can read it.
            print(servers.uri, flush=True)  # noqa: T201
            click.echo(f"export MONGODB_URI='{servers.uri}'\nCtrl-C stops it.", err=True)
            await servers.watch()
    except asyncio.CancelledError:
        # A signal is how this is meant to end.
        return


def main() -> None:
    """Run the command; an error of the library is one line, not a traceback."""
    try:
        cli()
    except DataLayerError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
