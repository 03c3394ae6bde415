"""Temporary data directories, which are removed even if their process was killed."""

import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Generator
from pathlib import Path
from typing import IO

_PREFIX = "datalayer-"
_OWNED = "owner.lock"


@contextlib.contextmanager
def scratch_directory() -> Generator[Path]:
    """Create a temporary directory that is removed at the end of the block.

    The process holds a lock in the directory. The kernel releases it when the process ends, however it ends. Creating
    the next directory removes those whose lock is free.
    """
    with tempfile.TemporaryDirectory(prefix=_PREFIX, ignore_cleanup_errors=True) as name:
        folder = Path(name)
        if sys.platform == "win32":
            yield folder
            return
        _sweep(folder.parent)
        unnamed = folder / f"{_OWNED}.new"
        with unnamed.open("wb") as file:
            # Lock the file before renaming it, so that no other process finds it unlocked.
            _lock(file)
            unnamed.rename(folder / _OWNED)
            yield folder


def _sweep(parent: Path) -> None:
    """Remove the user's directories whose process was killed. Directories that cannot be read are kept."""
    for folder in parent.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            status = folder.lstat()
            if status.st_uid == os.getuid() and _has_no_owner(folder):
                shutil.rmtree(folder, ignore_errors=True)


def _has_no_owner(folder: Path) -> bool:
    try:
        with (folder / _OWNED).open("rb") as file:
            _lock(file)
    except OSError:
        # The lock is held; or there is no lock file: the directory is new, or was not created by this library.
        return False
    return True


def _lock(file: IO[bytes]) -> None:
    """Lock the file, or raise immediately."""
    import fcntl  # noqa: PLC0415 - Windows has no such module

    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
