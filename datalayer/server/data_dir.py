"""The data directory of a `mongod`, which also holds its log."""

import json
import os
from pathlib import Path
from typing import Any, cast

from datalayer.engine.errors import ServerStartError

_WORDS = 3
_WORDS_LENGTH = 1500
_TAIL = 1 << 18
# The last lines of a crash only say that it is a crash.
_EPITAPHS = ("***aborting after", "Writing fatal message")


def prepare(folder: Path) -> None:
    """Create the directory if it is missing.

    Raises:
        ServerStartError: It is a file, cannot be created, or is not writable.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise ServerStartError(f"The data directory {folder} is a file.", hint="Choose a directory.") from error
    except OSError as error:
        raise ServerStartError(f"The data directory {folder} cannot be created: {error.strerror}.") from error
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        raise ServerStartError(f"The data directory {folder} is not writable.")


def log_file(folder: Path) -> Path:
    """Return the path of the server's log."""
    return folder / "mongod.log"


def log_size(folder: Path) -> int:
    """Return the current size of the log, which is where the next run's part begins."""
    log = log_file(folder)
    return log.stat().st_size if log.exists() else 0


def last_words(folder: Path, since: int) -> str:
    """Return the last errors in the log after a position, or an empty string."""
    with log_file(folder).open("rb") as file:
        tail = log_size(folder) - _TAIL
        file.seek(max(since, tail))
        # When reading starts in the middle of the log, the first line is incomplete.
        lines = file.read().decode(errors="replace").splitlines()[int(tail > since) :]
    errors = [said for line in lines if (said := _error_in(line))]
    return "; ".join(errors[-_WORDS:])[-_WORDS_LENGTH:].rstrip(".")


def in_use(folder: Path) -> ServerStartError:
    """Return the error for a directory that another server has open, with its process id if known."""
    try:
        owner = (folder / "mongod.lock").read_text().strip()
    except OSError:
        owner = ""
    who = f"another mongod (pid {owner})" if owner.isdecimal() else "another mongod"
    return ServerStartError(
        f"The data directory {folder} is in use by {who}.", hint="Stop that server, or choose another directory."
    )


def _error_in(line: str) -> str | None:
    """Return the message of a log line if it is an error. Lines before the log is set up are not JSON."""
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
