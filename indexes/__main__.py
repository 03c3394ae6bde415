"""`python -m indexes`: the command."""

import sys
from pathlib import Path

import click

from datalayer.cli.schema import SchemaGroup, schema
from datalayer.errors import DataLayerError
from indexes.writing import write


@click.group(cls=SchemaGroup, context_settings={"help_option_names": ["-h", "--help"]})
def commands() -> None:
    """Write the manifests of the physical schema, or deploy it."""


for name, command in schema.commands.items():
    # Here `write` does that.
    if name != "manifests":
        commands.add_command(command)


@commands.command("write")
def write_command() -> None:
    """Generate the manifests and the documentation of the schema from the document classes."""
    changed = write()
    for path in changed:
        click.echo(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)
    if not changed:
        click.echo("All files are up to date.")


def main() -> None:
    """Run the command. Print errors of the library as one line, without a traceback."""
    try:
        commands(prog_name="python -m indexes")
    except DataLayerError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
