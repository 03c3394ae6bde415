"""`python -m seed`: fills a database with sample data."""

import asyncio
import shlex
import shutil
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from datalayer import Community, DataLayerError, Stories, embedded_server
from datalayer.engine.settings import Settings
from datalayer.seeding import World, fill
from seed.worlds import NAMES, world

try:
    import click

    from seed.progress import progress
    from seed.summary import summary
except ModuleNotFoundError as missing:
    sys.exit(f"The seed command needs {missing.name}: pip install 'opentribe-datalayer[cli]'")

_DATA_DIR = Path(".data")


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("name", metavar=f"[{'|'.join(NAMES)}]", type=click.Choice(NAMES), default=NAMES[0])
@click.option("--seed", default=1, show_default=True, help="The random seed; the same seed gives the same data.")
@click.option("--uri", help="The URI of the database.  [default: MONGODB_URI, or an embedded server with .data/]")
@click.option("--force", is_flag=True, help="Empty the collections first, whatever they contain.")
def command(name: str, seed: int, uri: str | None, *, force: bool) -> None:
    """Fill the databases of the community and the story generator with small, demo or load data."""
    asyncio.run(_run(world(name, seed), uri, force=force))


async def _run(chosen: World, uri: str | None, *, force: bool) -> None:
    async with (
        _server(uri) as place,
        Community.connect(place) as community,
        Stories.connect(place) as stories,
    ):
        with progress() as observer:
            filled = await fill(community, stories, chosen, observer, force=force)
        for line in await summary(filled, community, stories):
            click.echo(line)


@asynccontextmanager
async def _server(uri: str | None) -> AsyncGenerator[str]:
    """Yield the given URI, otherwise that of the environment, otherwise that of an embedded server."""
    if given := uri or Settings().mongodb_uri:
        yield given
        return
    click.echo(f"Starting a MongoDB server, which keeps its data in {_DATA_DIR}/")
    async with embedded_server(_DATA_DIR) as own:
        yield own
    click.echo(f"\nThe data is kept in {_DATA_DIR}/. Look at it in Python with:\n  {_datalayer()} shell --embedded")


def _datalayer() -> str:
    """Return what to type for the `datalayer` command: the environment's programs need not be on the PATH."""
    program = Path(sys.executable).with_name("datalayer")
    if not program.exists():
        return f"{shlex.quote(sys.executable)} -m datalayer.cli"
    found = shutil.which("datalayer")
    if found is not None and program.samefile(found):
        return "datalayer"
    here = Path.cwd()
    return shlex.quote(str(program.relative_to(here) if program.is_relative_to(here) else program))


def main() -> None:
    """Run the command. Print errors of the library as one line, without a traceback."""
    try:
        command(prog_name="python -m seed")
    except DataLayerError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
