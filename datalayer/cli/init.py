"""`datalayer init`: a small application with tests, to begin with."""

from pathlib import Path

import click

_APPLICATION = Path(__file__).parent / "application"

# By name: an installer leaves compiled files among them.
_FILES = (".gitignore", "README.md", "app.py", "pyproject.toml", "requirements.txt", "tests/test_app.py")


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
def init(folder: Path) -> None:
    """Write a small application with tests into a FOLDER that is empty or missing."""
    try:
        if folder.exists() and any(folder.iterdir()):
            raise click.ClickException(f"{folder} is not empty. Nothing was written: name an empty or a new folder.")
        for name in _FILES:
            file = folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes((_APPLICATION / name).read_bytes())
    except OSError as error:
        raise click.ClickException(f"{error.filename} cannot be written: {error.strerror}.") from error
    click.echo(f"Wrote {len(_FILES)} files to {folder}. Next:\n")
    click.echo(f"  cd '{folder}'\n  pip install -r requirements.txt\n  python app.py\n  pytest")
