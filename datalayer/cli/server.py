"""`datalayer server`."""

import asyncio
import signal
from pathlib import Path

import click

from datalayer.cli.opening import DATA_DIR
from datalayer.server.embedded import running


@click.command()
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path),
    default=None,
    help="The data directory.  [default: .data]",
)
@click.option("--port", type=int, default=None, help="The port to listen on.  [default: a free one]")
@click.option("--replicas", type=int, default=1, show_default=True, metavar="1|3", help="The number of nodes.")
@click.option("--temporary", is_flag=True, help="Remove the data at the end.")
def server(data_dir: Path | None, port: int | None, replicas: int, *, temporary: bool) -> None:
    """Run a MongoDB server until Ctrl-C, and print its URI."""
    if temporary and data_dir is not None:
        raise click.UsageError("--temporary cannot be combined with --data-dir.")
    folder = None if temporary else data_dir or DATA_DIR
    asyncio.run(_serve(folder, port=port, replicas=replicas))


async def _serve(data_dir: Path | None, *, port: int | None, replicas: int) -> None:
    """Serve until the first SIGINT or SIGTERM. A second one ends it without a clean shutdown."""
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - a coroutine always runs in one
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    try:
        async with running(data_dir, replicas=replicas, port=port) as servers:
            # First, and without decoration, so that a script can read it.
            print(servers.uri, flush=True)  # noqa: T201
            click.echo(f"export MONGODB_URI='{servers.uri}'\nCtrl-C stops it.", err=True)
            await servers.watch()
    except asyncio.CancelledError:
        # A signal is the normal way to end.
        return
