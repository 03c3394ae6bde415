"""One `mongod` process."""

import asyncio
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

from pymongo import AsyncMongoClient
from pymongo.errors import PyMongoError

from datalayer.engine.errors import ServerStartError
from datalayer.server import data_dir as data
from datalayer.server.ports import HOST, check_port, free_port, port_taken
from datalayer.server.process import spawn
from datalayer.server.program import find_mongod

REPLICA_SET = "rs0"
TICK = 0.01
START_SECONDS = 60
_STOP_SECONDS = 10
_PORT_ATTEMPTS = 10
_EXIT_PORT_TAKEN = 48

_FLAGS = (
    *("--replSet", REPLICA_SET),
    *("--bind_ip", HOST),
    "--nounixsocket",
    "--quiet",
    "--logappend",
    # Small on disk and in memory: 11 to 17 MB instead of 315 MB.
    *("--oplogSize", "64"),
    *("--wiredTigerCacheSizeGB", "0.25"),
    *("--wiredTigerEngineConfigString", "log=(prealloc=false,file_max=16MB)"),
    # An acknowledged write waits for the journal.
    *("--journalCommitInterval", "1"),
    *("--networkMessageCompressors", "snappy,zstd"),
    # Tests inject faults with fail points.
    *("--setParameter", "enableTestCommands=1"),
    *("--setParameter", "diagnosticDataCollectionEnabled=false"),
    # Abort the transactions of a killed process before those that wait for it give up.
    *("--setParameter", "transactionLifetimeLimitSeconds=20"),
    # When stopped, a primary does not wait 15 s for a successor.
    *("--setParameter", "shutdownTimeoutMillisForSignaledShutdown=100"),
)


class Node:
    """One `mongod` process on loopback, with its own data directory.

    Attributes:
        data_dir: The directory of its data and its `mongod.log`.
        port: The port it listens on. Unless given, it is chosen at the first start and then kept, because clients know
            it.
    """

    def __init__(self, data_dir: Path, *, port: int | None = None) -> None:
        self.data_dir = data_dir.expanduser().resolve()
        self.port = port
        self._process: subprocess.Popen[bytes] | None = None
        self._log_start = 0

    @property
    def address(self) -> str:
        """The host and port, as in replica set members and URIs. Not available before the first start."""
        return f"{HOST}:{self.port}"

    @property
    def pid(self) -> int | None:
        """The process id, or `None` if the process is not running."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    @property
    def running(self) -> bool:
        """True if the process exists, even if it is suspended (`SIGSTOP`)."""
        return self.pid is not None

    def client(self) -> AsyncMongoClient[dict[str, Any]]:
        """Return a client that connects to this node only, whatever its role in the replica set."""
        return _client(self.port)

    async def start(self) -> None:
        """Start the node, and return when it responds. Does nothing if it is running.

        The node responds before it has a role: `ReplicaSet.start` waits for that.
        """
        if self.running:
            return
        program = await asyncio.to_thread(find_mongod)
        data.prepare(self.data_dir)
        if self.port is not None:
            check_port(self.port)
        for _ in range(_PORT_ATTEMPTS):
            port = self.port or free_port()
            self._log_start = data.log_size(self.data_dir)
            code = await self._launch(program, port)
            if code is None:
                self.port = port
                return
            if code != _EXIT_PORT_TAKEN:
                raise self._failure()
            if self.port is not None:
                raise port_taken(self.port)
        raise ServerStartError("No free port was found: another program took each port that was tried.")

    async def stop(self) -> None:
        """Shut the node down cleanly. Kills it if that takes longer than 10 s, or if the caller is cancelled."""
        if self._process is None:
            return
        try:
            self._process.terminate()
            async with asyncio.timeout(_STOP_SECONDS):
                while self.running:  # noqa: ASYNC110 - a process is not an event
                    await asyncio.sleep(TICK)
        except TimeoutError:
            pass
        finally:
            self.kill()

    def kill(self) -> None:
        """Kill the node, like a crash. Writes acknowledged with `w: majority` are there at the next start."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    async def restart(self) -> None:
        """Shut the node down cleanly, and start it on the same port."""
        await self.stop()
        await self.start()

    def how_it_ended(self) -> str:
        """Describe how the process ended: its exit status or signal, and the last errors in its log."""
        code = None if self._process is None else self._process.poll()
        how = "it was stopped" if code is None else f"exit status {code}" if code >= 0 else f"signal {-code}"
        said = data.last_words(self.data_dir, self._log_start)
        return f"{how}: {said}" if said else how

    async def _launch(self, program: Path, port: int) -> int | None:
        """Run the program. Return its exit status if it ended before it responded."""
        log = data.log_file(self.data_dir)
        command = [str(program), "--dbpath", str(self.data_dir), "--port", str(port), "--logpath", str(log), *_FLAGS]
        try:
            # Not in a worker thread, see `spawn`. This blocks for about 3 ms.
            self._process = spawn(command, log)
        except OSError as error:
            raise ServerStartError(f"{error.filename or program}: {error.strerror}.") from error
        try:
            return await self._until_it_answers(self._process, port)
        except BaseException:
            self.kill()
            raise

    async def _until_it_answers(self, process: subprocess.Popen[bytes], port: int) -> int | None:
        deadline = time.monotonic() + START_SECONDS
        while process.poll() is None:
            if _listens(port) and await self._is_ours(port):
                return None
            if time.monotonic() > deadline:
                raise ServerStartError(
                    f"mongod did not respond within {START_SECONDS} s.",
                    hint=f"See its log: {data.log_file(self.data_dir)}.",
                )
            await asyncio.sleep(TICK)
        return process.returncode

    async def _is_ours(self, port: int) -> bool:
        """Return whether the server on the port is this node, and not another one that took the port first."""
        try:
            async with _client(port) as client:
                options = await client.admin.command("getCmdLineOpts")
        except PyMongoError:
            return False
        return options["parsed"].get("storage", {}).get("dbPath") == str(self.data_dir)

    def _failure(self) -> ServerStartError:
        how = self.how_it_ended()
        if "DBPathInUse" in how:
            return data.in_use(self.data_dir)
        return ServerStartError(
            f"mongod exited during start-up ({how}).", hint=f"See its log: {data.log_file(self.data_dir)}."
        )


def _client(port: int | None) -> AsyncMongoClient[dict[str, Any]]:
    return AsyncMongoClient(HOST, port, directConnection=True, serverSelectionTimeoutMS=1000)


def _listens(port: int) -> bool:
    # The driver retries only every half second; on loopback the operating system responds immediately.
    with socket.socket() as probe:
        probe.settimeout(0.1)
        return probe.connect_ex((HOST, port)) == 0
