"""The `mongod` processes that make up one replica set."""

import asyncio
import contextlib
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from pymongo import AsyncMongoClient
from pymongo.errors import OperationFailure, PyMongoError

from datalayer.engine.errors import InvalidInputError, ServerStartError, UnavailableError
from datalayer.engine.translation import sentence
from datalayer.server import data_dir as data
from datalayer.server.node import REPLICA_SET, START_SECONDS, TICK, Node

_SIZES = (1, 3, 5, 7)
_WATCH_SECONDS = 0.5
_MAJORITY = {"w": "majority", "wtimeout": 5000}
_NOT_YET_INITIALIZED = 94
# With the defaults (10 s, 2 s), writes stop for 11 s after the primary is lost; with these, for less than 2 s.
_SETTINGS = {"electionTimeoutMillis": 1000, "heartbeatIntervalMillis": 200}


class ReplicaSet:
    """A replica set of one or several nodes on loopback.

    A single node keeps its data in `data_dir` itself, several nodes in `data_dir/node0`, `data_dir/node1`, ...

    Attributes:
        nodes: The members; they elect the primary among themselves.
    """

    def __init__(self, data_dir: Path, *, replicas: int = 1, port: int | None = None) -> None:
        """Describe a replica set, without starting it.

        Args:
            data_dir: The data directory.
            replicas: The number of nodes: 1, 3, 5 or 7.
            port: The port of the first node; the others use the following ports. Defaults to free ports.
        """
        if type(replicas) is not int or replicas not in _SIZES:
            raise InvalidInputError("replicas", "must be 1, 3, 5 or 7")
        if port is not None and (type(port) is not int or port not in range(1, 65537 - replicas)):
            raise InvalidInputError("port", f"must be a whole number from 1 to {65536 - replicas}")
        self.data_dir = data_dir.expanduser().resolve()
        folders = [self.data_dir] if replicas == 1 else [self.data_dir / f"node{i}" for i in range(replicas)]
        self.nodes = tuple(Node(folder, port=None if port is None else port + i) for i, folder in enumerate(folders))

    @property
    def uri(self) -> str:
        """The URI for clients. Not available before the first start."""
        # Every half second: with the default of 10 s, clients notice the return of a node late.
        return f"mongodb://{','.join(self._hosts)}/?replicaSet={REPLICA_SET}&heartbeatFrequencyMS=500"

    async def start(self) -> None:
        """Start the nodes that are not running, and return when a `w: majority` write would succeed.

        If the start fails, no node is left running.

        Raises:
            ServerNotFoundError: No `mongod` program was found.
            ServerStartError: The replica set did not start; the message says why.
        """
        self._check_directory()
        try:
            await self._start_nodes()
            await self._make_ready()
        except PyMongoError as error:
            self.kill()
            raise ServerStartError(f"The replica set could not be set up: {sentence(error)}.") from error
        except BaseException:
            self.kill()
            raise

    async def stop(self) -> None:
        """Shut down all nodes cleanly."""
        await asyncio.gather(*(node.stop() for node in self.nodes))

    def kill(self) -> None:
        """Kill all nodes."""
        for node in self.nodes:
            node.kill()

    async def watch(self) -> NoReturn:
        """Wait until a node exits unexpectedly.

        Raises:
            UnavailableError: A node exited.
        """
        while all(node.running for node in self.nodes):  # noqa: ASYNC110 - a process is not an event
            await asyncio.sleep(_WATCH_SECONDS)
        ended = next(node for node in self.nodes if not node.running)
        raise UnavailableError(
            f"The mongod on {ended.address} exited unexpectedly ({ended.how_it_ended()}).",
            hint=f"See its log: {data.log_file(ended.data_dir)}.",
        )

    @property
    def _hosts(self) -> list[str]:
        return [node.address for node in self.nodes]

    def _check_directory(self) -> None:
        """Reject a directory that was created with a different number of nodes: its data would seem to be lost."""
        data.prepare(self.data_dir)
        several = len(list(self.data_dir.glob("node[0-9]")))
        found = several or int((self.data_dir / "WiredTiger").exists())
        if found not in {0, len(self.nodes)}:
            raise self._other_size(found)
        # Create all directories before the first start: an interrupted start must not look like a smaller set.
        for node in self.nodes:
            data.prepare(node.data_dir)

    def _other_size(self, found: int) -> ServerStartError:
        return ServerStartError(
            f"The data directory {self.data_dir} belongs to a replica set of {found}, not of {len(self.nodes)}.",
            hint=f"Open it with replicas={found}, or choose another directory."
            if found in _SIZES
            else "Some of the directories of its nodes are missing: choose another directory.",
        )

    async def _start_nodes(self) -> None:
        # Wait for all of them even if one fails: a start in the background would leave a process behind.
        results = await asyncio.gather(*(node.start() for node in self.nodes), return_exceptions=True)
        for result in results:
            if result is not None:
                raise result

    async def _make_ready(self) -> None:
        async with contextlib.AsyncExitStack() as stack:
            clients = [await stack.enter_async_context(node.client()) for node in self.nodes]
            await self._configure(clients[0])
            deadline = time.monotonic() + START_SECONDS
            while not await _are_ready(clients):
                self._check_progress(deadline)
                await asyncio.sleep(TICK)

    async def _configure(self, client: AsyncMongoClient[dict[str, Any]]) -> None:
        """Initiate the replica set the first time; later, update the addresses that have changed."""
        try:
            config = (await client.admin.command("replSetGetConfig"))["config"]
        except OperationFailure as error:
            if error.code != _NOT_YET_INITIALIZED:
                raise
            members = [{"_id": i, "host": host} for i, host in enumerate(self._hosts)]
            new = {"_id": REPLICA_SET, "members": members, "settings": _SETTINGS}
            await client.admin.command("replSetInitiate", new)
            return
        name = config["_id"]
        if name != REPLICA_SET:
            raise ServerStartError(
                f"The data directory {self.data_dir} belongs to a replica set called {name}, not {REPLICA_SET}.",
                hint="Choose another directory.",
            )
        members = config["members"]
        if len(members) != len(self.nodes):
            raise self._other_size(len(members))
        if [member["host"] for member in members] != self._hosts:
            for member, host in zip(members, self._hosts, strict=True):
                member["host"] = host
            config["version"] += 1
            # Forced, because no majority is reachable under the old addresses.
            await client.admin.command("replSetReconfig", config, force=True)

    def _check_progress(self, deadline: float) -> None:
        for node in self.nodes:
            if not node.running:
                raise ServerStartError(
                    f"The mongod on {node.address} exited ({node.how_it_ended()}).",
                    hint=f"See its log: {data.log_file(node.data_dir)}.",
                )
        if time.monotonic() > deadline:
            raise ServerStartError(
                f"After {START_SECONDS} s, the replica set still had no primary, or not all of its members.",
                hint=f"See the log: {data.log_file(self.nodes[0].data_dir)}.",
            )


async def _are_ready(clients: Sequence[AsyncMongoClient[dict[str, Any]]]) -> bool:
    """Return whether one node is the primary, all others are secondaries, and a write reaches a majority."""
    try:
        roles = [await client.admin.command("hello") for client in clients]
        if not all(role["isWritablePrimary"] or role["secondary"] for role in roles):
            return False
        for client, role in zip(clients, roles, strict=True):
            if role["isWritablePrimary"]:
                # Secondaries begin to replicate up to a second after they get their role. So write an entry that
                # changes no data.
                await client.admin.command("appendOplogNote", data={"datalayer": "ready"}, writeConcern=_MAJORITY)
                return True
    except PyMongoError:
        # A node drops its connections when its role changes.
        return False
    return False
