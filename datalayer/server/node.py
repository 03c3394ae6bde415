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
    # What a killed process was doing is undone before those who wait for it give up.
    *("--setParameter", "transactionLifetimeLimitSeconds=20"),
    # A primary that is stopped does not wait 15 s for a successor.
    *("--setParameter", "shutdownTimeoutMillisForSignaledShutdown=100"),
)


class Node:
    """One `mongod` process on loopback, with a data directory of its own.

    Attributes:
        data_dir: Where its data and its `mongod.log` are.
        port: Where it listens. One that was not asked for is chosen at the first start, and kept from then on, since
            clients know it.
    """

    def __init__(self, data_dir: Path, *, port: int | None = None) -> None:
        self.data_dir = data_dir.expanduser().resolve()
        self.port = port
        self._process: subprocess.Popen[bytes] | None = None
        self._log_start = 0

    @property
    def address(self) -> str:
        """Its host and port, as replica set members and URIs have it. There is none before the first start."""
        return f"{HOST}:{self.port}"

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    @property
    def running(self) -> bool:
        """Whether the process exists; a stopped (`SIGSTOP`) one does."""
        return self.pid is not None

    def client(self) -> AsyncMongoClient[dict[str, Any]]:
        """A client of this node alone, whatever its role in the replica set."""
        return _client(self.port)

    async def start(self) -> None:
        """Start it, and return when it answers. A node that runs stays as it is.

        It answers before it has a role: `ReplicaSet.start` waits for that.
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
        raise ServerStartError("No free port was found: each one that was tried was taken a moment later.")

    async def stop(self) -> None:
        """Stop it in an orderly way; one that takes longer than 10 s, or a caller that is cancelled, kills it."""
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
        """End it at once, as a crash would. What it had acknowledged to `w: majority` is there at the next start."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    async def restart(self) -> None:
        """Stop it in an orderly way and start it on the same port."""
        await self.stop()
        await self.start()

    def how_it_ended(self) -> str:
        """The exit status or signal of a process that ended by itself, and the last errors in its log."""
        code = None if self._process is None else self._process.poll()
        how = "it was stopped" if code is None else f"exit status {code}" if code >= 0 else f"signal {-code}"
        said = data.last_words(self.data_dir, self._log_start)
        return f"{how}: {said}" if said else how

    async def _launch(self, program: Path, port: int) -> int | None:
        """Run the program; its exit status where it ended before it answered."""
        log = data.log_file(self.data_dir)
        command = [str(program), "--dbpath", str(self.data_dir), "--port", str(port), "--logpath", str(log), *_FLAGS]
        try:
            # Not in a worker thread: see `spawn`. It blocks for some 3 ms.
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
                    f"mongod did not answer within {START_SECONDS} s.",
                    hint=f"Its log is {data.log_file(self.data_dir)}.",
                )
            await asyncio.sleep(TICK)
        return process.returncode

    async def _is_ours(self, port: int) -> bool:
        """Whether the server on the port is this node, and not one that took the port a moment earlier."""
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
            f"mongod ended as it started ({how}).", hint=f"Its log is {data.log_file(self.data_dir)}."
        )


def _client(port: int | None) -> AsyncMongoClient[dict[str, Any]]:
    return AsyncMongoClient(HOST, port, directConnection=True, serverSelectionTimeoutMS=1000)


def _listens(port: int) -> bool:
    # The driver looks again only every half second; on loopback the operating system answers at once.
    with socket.socket() as probe:
        probe.settimeout(0.1)
        return probe.connect_ex((HOST, port)) == 0
