"""A server that asks for users, as those of production do."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from pymongo import AsyncMongoClient

from datalayer.server.ports import free_port
from datalayer.server.process import spawn
from datalayer.server.program import find_mongod

ROOT = "root:root"
"""Who may do everything, and the password."""


@asynccontextmanager
async def guarded_server(folder: Path) -> AsyncIterator[str]:
    """A replica set of one that runs with a key file; gives its address."""
    key = folder / "key"
    key.write_text("0123456789abcdef")
    key.chmod(0o400)
    port = free_port()
    command = [str(find_mongod()), "--dbpath", str(folder), "--port", str(port), "--replSet", "rs0"]
    command += ["--keyFile", str(key), "--bind_ip", "127.0.0.1", "--nounixsocket", "--oplogSize", "64"]
    process = spawn(command, folder / "mongod.log")
    try:
        address = f"127.0.0.1:{port}"
        async with AsyncMongoClient(f"mongodb://{address}/?directConnection=true") as client:
            # Until there is a user, whoever comes from the same machine may set it up.
            members = [{"_id": 0, "host": address}]
            await client.admin.command("replSetInitiate", {"_id": "rs0", "members": members})
            while not (await client.admin.command("hello"))["isWritablePrimary"]:  # noqa: ASYNC110 - nothing tells
                await asyncio.sleep(0.01)
            name, password = ROOT.split(":")
            await client.admin.command("createUser", name, pwd=password, roles=["root"])
        yield address
    finally:
        process.kill()
        process.wait()
