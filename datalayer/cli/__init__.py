"""The `datalayer` command."""

import sys

from datalayer import __version__
from datalayer.errors import DataLayerError

try:
    import click
    import rich as _rich  # noqa: F401 # pyright: ignore[reportUnusedImport] - the commands that show progress need it
except ModuleNotFoundError as missing:
    # Checked here and not in `main`, because the commands are declared with click.
    sys.exit(f"The datalayer command needs {missing.name}: pip install 'opentribe-datalayer[cli]'")

from datalayer.cli.admin import admin
from datalayer.cli.init import init
from datalayer.cli.schema import schema
from datalayer.cli.server import server
from datalayer.cli.shell import shell


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="datalayer")
def cli() -> None:
    """Tools of the data layer."""


for _command in (admin, init, schema, server, shell):
    cli.add_command(_command)


def main() -> None:
    """Run the command. Print errors of the library as one line, without a traceback."""
    try:
        cli()
    except DataLayerError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(1)
