"""The embedded server: a replica set that lives as long as a block of code."""

import contextlib
import os
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import cast

from datalayer.engine.errors import InvalidInputError
from datalayer.server.program import check_platform
from datalayer.server.replica_set import ReplicaSet
from datalayer.server.scratch import scratch_directory

_MAX_PATH = 4_096


@contextlib.asynccontextmanager
async def embedded_server(
    data_dir: Path | str | None = None, *, replicas: int = 1, port: int | None = None
) -> AsyncGenerator[str]:
    """Run a real `mongod` as a replica set on loopback, and give its URI.

    It never outlives the process. The program is the one that `DATALAYER_MONGOD` names, else `mongod` on the PATH, else
    the one that the `embedded` extra installs.

    Args:
        data_dir: Where the data is kept; made where it is missing. Without it the data is removed at the end.
        replicas: How many nodes. One has everything but failover; three lose one without losing a write.
        port: Where it listens (several nodes: the first of the ports); without it a free one is found.

    Raises:
        ServerNotFoundError: There is no `mongod` program, or the system is Windows; the hint says what to do.
        ServerStartError: It did not start; the message says why.
        InvalidInputError: `data_dir` is no path, or `replicas` or `port` is out of range.
    """
    async with running(data_dir, replicas=replicas, port=port) as servers:
        yield servers.uri


@contextlib.asynccontextmanager
async def running(
    data_dir: Path | str | None, *, replicas: int = 1, port: int | None = None
) -> AsyncGenerator[ReplicaSet]:
    """The same, giving the replica set itself."""
    check_platform()
    if data_dir is not None:
        servers = ReplicaSet(_folder(data_dir), replicas=replicas, port=port)
        try:
            await servers.start()
            yield servers
        finally:
            await servers.stop()
        return
    with scratch_directory() as folder:
        servers = ReplicaSet(folder, replicas=replicas, port=port)
        try:
            await servers.start()
            yield servers
        finally:
            # Nobody will read the data again: half a second of orderly shutdown is saved.
            servers.kill()


def _folder(data_dir: object) -> Path:
    """Where the path leads; it need not exist."""
    if isinstance(data_dir, str | os.PathLike) and data_dir:
        try:
            folder = Path(cast("str | os.PathLike[str]", data_dir)).expanduser().resolve()
            if len(os.fsencode(folder)) <= _MAX_PATH:
                return folder
        except (TypeError, ValueError, RuntimeError, OSError):
            # Of bytes; with NUL or a lone surrogate; in the home of nobody; too long.
            pass
    raise InvalidInputError("data_dir", "must be a path")
