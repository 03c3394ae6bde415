"""The directory that a `mongod` keeps its data and its log in."""

import json
import os
from pathlib import Path
from typing import Any, cast

from datalayer.engine.errors import ServerStartError

_WORDS = 3
_WORDS_LENGTH = 1500
_TAIL = 1 << 18
# A crash ends with lines that say no more than that it is one.
_EPITAPHS = ("***aborting after", "Writing fatal message")


def prepare(folder: Path) -> None:
    """Make the directory where it is missing.

    Raises:
        ServerStartError: It is a file, cannot be made, or cannot be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise ServerStartError(f"The data directory {folder} is a file.", hint="Name a directory.") from error
    except OSError as error:
        raise ServerStartError(f"The data directory {folder} cannot be made: {error.strerror}.") from error
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        raise ServerStartError(f"The data directory {folder} cannot be written to.")


def log_file(folder: Path) -> Path:
    """Where the server writes what it does."""
    return folder / "mongod.log"


def log_size(folder: Path) -> int:
    """Where the next run's part of the log begins."""
    log = log_file(folder)
    return log.stat().st_size if log.exists() else 0


def last_words(folder: Path, since: int) -> str:
    """The last errors in the log after a position; nothing where there is none."""
    with log_file(folder).open("rb") as file:
        tail = log_size(folder) - _TAIL
        file.seek(max(since, tail))
        # In the middle of the log the first line is half a line.
        lines = file.read().decode(errors="replace").splitlines()[int(tail > since) :]
    errors = [said for line in lines if (said := _error_in(line))]
    return "; ".join(errors[-_WORDS:])[-_WORDS_LENGTH:].rstrip(".")


def in_use(folder: Path) -> ServerStartError:
    """The error that says that another server has the directory open, with its process id where that is known."""
    try:
        owner = (folder / "mongod.lock").read_text().strip()
    except OSError:
        owner = ""
    who = f"another mongod (pid {owner})" if owner.isdecimal() else "another mongod"
    return ServerStartError(
        f"The data directory {folder} is in use by {who}.", hint="Stop that one, or choose another directory."
    )


def _error_in(line: str) -> str | None:
    """What a line of the log says if it is an error. Lines that are not JSON come from before the log is set up."""
    try:
        parsed: Any = json.loads(line)
    except ValueError:
        parsed = None
    if not isinstance(parsed, dict):
        return line.strip()
    entry = cast("dict[str, Any]", parsed)
    message = str(entry.get("msg")).strip()
    if entry.get("s") not in {"E", "F"} or message.startswith(_EPITAPHS):
        return None
    attributes: dict[str, Any] = entry.get("attr", {})
    details = [_text(attributes.get(name)) for name in ("error", "reason", "message")]
    return ": ".join([message, *filter(None, details)])


def _text(detail: Any) -> str:  # noqa: ANN401 - it has as many shapes as there are messages
    if isinstance(detail, dict):
        fields = cast("dict[str, Any]", detail)
        detail = fields.get("errmsg", fields.get("msg"))
    return detail.strip() if isinstance(detail, str) else ""
