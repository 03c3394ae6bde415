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
    """Run a real `mongod` as a replica set on loopback, and yield its URI.

    The server never outlives the process. The program is the one that `DATALAYER_MONGOD` names, otherwise `mongod` on
    the PATH, otherwise the one that the `embedded` extra installs.

    Args:
        data_dir: The data directory; created if missing. By default the data is temporary, and removed at the end.
        replicas: The number of nodes: 1, 3, 5 or 7. A single node supports everything except failover; three nodes can
            lose one without losing a write.
        port: The port to listen on (with several nodes, the first of consecutive ports). Defaults to a free port.

    Raises:
        ServerNotFoundError: No `mongod` program was found, or the system is Windows; the hint says what to do.
        ServerStartError: The server did not start; the message says why.
        InvalidInputError: `data_dir` is not a path, or `replicas` or `port` is out of range.
    """
    async with running(data_dir, replicas=replicas, port=port) as servers:
        yield servers.uri


@contextlib.asynccontextmanager
async def running(
    data_dir: Path | str | None, *, replicas: int = 1, port: int | None = None
) -> AsyncGenerator[ReplicaSet]:
    """Like `embedded_server`, but yield the replica set itself."""
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
            # The data is temporary: killing the server saves half a second of clean shutdown.
            servers.kill()


def _folder(data_dir: object) -> Path:
    """Resolve the path, which need not exist."""
    if isinstance(data_dir, str | os.PathLike) and data_dir:
        try:
            folder = Path(cast("str | os.PathLike[str]", data_dir)).expanduser().resolve()
            if len(os.fsencode(folder)) <= _MAX_PATH:
                return folder
        except (TypeError, ValueError, RuntimeError, OSError):
            # The path is of bytes, has NUL or a lone surrogate, names the home of an unknown user, or is too long.
            pass
    raise InvalidInputError("data_dir", "must be a path")
