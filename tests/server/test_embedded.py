"""The embedded server: what it starts, keeps, refuses, and leaves behind."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import tempfile
from contextlib import suppress
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import pytest
from pymongo import AsyncMongoClient
from pymongo.errors import ConnectionFailure
from pymongo.write_concern import WriteConcern

from datalayer.errors import InvalidInputError, ServerNotFoundError, ServerStartError
from datalayer.server import Node, ReplicaSet, embedded_server
from datalayer.server.program import find_mongod
from tests.processes import wait_until_gone

Client = AsyncMongoClient[dict[str, Any]]

HOLDER = """
import asyncio, sys
from datalayer.server import Node
from pathlib import Path

async def main():
    node = Node(Path(sys.argv[1]))
    await node.start()
    print(node.pid, flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


async def _count(uri: str) -> int:
    async with Client(uri) as client:
        return await client.test.things.count_documents({})


async def _insert(uri: str) -> None:
    async with Client(uri) as client:
        await client.test.things.insert_one({})


async def _insert_until_killed(uri: str, node: Node) -> int:
    """Insert `_id` 0, 1, ... and kill the node meanwhile; how many inserts were acknowledged."""
    acknowledged = 0
    # A short wait for a server: this one does not come back by itself.
    async with Client(uri, retryWrites=False, serverSelectionTimeoutMS=300, w="majority") as client:
        try:
            while True:
                await client.test.things.insert_one({"_id": acknowledged})
                acknowledged += 1
                if acknowledged == 100:
                    asyncio.get_running_loop().call_later(0.02, node.kill)
        except ConnectionFailure:
            return acknowledged


def _children() -> str:
    return Path(f"/proc/self/task/{os.getpid()}/children").read_text()


def _port_of(uri: str) -> int:
    return int(uri.removeprefix("mongodb://127.0.0.1:").partition("/")[0])


@pytest.fixture
def temporary_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the temporary data directories of this test are."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def _fake_program(folder: Path, script: str) -> Path:
    program = folder / "mongod"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return program


async def test_temporary_data_is_removed_and_the_server_is_gone(temporary_folders: Path) -> None:
    """Until then it is a replica set with a primary: transactions and majority writes work at once."""
    async with embedded_server() as uri, Client(uri) as client:
        things = client.test.get_collection("things", write_concern=WriteConcern("majority"))
        async with client.start_session() as session, await session.start_transaction():
            await things.insert_one({}, session=session)
            await things.insert_one({}, session=session)
        assert await things.count_documents({}) == 2
        assert len(os.listdir(temporary_folders)) == 1  # noqa: PTH208
    assert not os.listdir(temporary_folders)  # noqa: PTH208
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", _port_of(uri))) != 0


@pytest.mark.thorough
async def test_an_error_in_the_block_comes_out_and_stops_the_server(temporary_folders: Path) -> None:
    with pytest.raises(LookupError):
        async with embedded_server():
            raise LookupError
    assert not os.listdir(temporary_folders)  # noqa: PTH208


@pytest.mark.parametrize("seconds", [0.005, 0.04, 0.1])
async def test_cancelling_the_start_leaves_nothing_behind(temporary_folders: Path, seconds: float) -> None:
    before = _children()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(seconds), embedded_server():
            await asyncio.sleep(10)
    assert not os.listdir(temporary_folders)  # noqa: PTH208
    assert _children() == before


async def test_data_survives_a_restart_on_another_port(tmp_path: Path) -> None:
    async with embedded_server(str(tmp_path / "data")) as first:
        await _insert(first)
    with socket.socket() as occupied:
        # Where somebody else was faster it is taken as well.
        with suppress(OSError):
            occupied.bind(("127.0.0.1", _port_of(first)))
        servers = ReplicaSet(tmp_path / "data")
        try:
            await servers.start()
            assert servers.uri != first
            assert await _count(servers.uri) == 1
        finally:
            servers.kill()


@pytest.mark.thorough  # tests/reliability kills a server under load
async def test_acknowledged_writes_survive_a_crash(tmp_path: Path) -> None:
    """`kill -9` in the middle of writes loses none that was acknowledged; the client goes on with the same URI."""
    servers = ReplicaSet(tmp_path)
    try:
        await servers.start()
        uri = servers.uri
        async with Client(uri) as client:
            things = client.test.things
            assert await things.count_documents({}) == 0
            acknowledged = await _insert_until_killed(uri, servers.nodes[0])
            assert acknowledged >= 100
            assert not servers.nodes[0].running
            await servers.start()
            assert servers.uri == uri
            assert await things.count_documents({"_id": {"$lt": acknowledged}}) == acknowledged
    finally:
        servers.kill()


@pytest.mark.thorough
async def test_three_nodes_lose_one_and_go_on() -> None:
    """Three nodes take majority writes as soon as they are up, and with one of them gone."""
    with tempfile.TemporaryDirectory() as folder:
        servers = ReplicaSet(Path(folder), replicas=3)
        try:
            await servers.start()
            async with Client(servers.uri) as client:
                things = client.test.get_collection("things", write_concern=WriteConcern("majority"))
                await things.insert_one({})
                primary = await client.primary
                assert primary is not None
                next(node for node in servers.nodes if node.port == primary[1]).kill()
                await things.insert_one({})
                assert await things.count_documents({}) == 2
        finally:
            servers.kill()


async def test_a_taken_port_is_named() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(ServerStartError, match=f"Port {port} is taken"):
            async with embedded_server(port=port):
                pass


async def test_a_chosen_port_that_is_taken_meanwhile_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another program may be faster between the choice of a free port and its use."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        taken = other.getsockname()[1]
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            free = probe.getsockname()[1]
        ports = iter([taken, free])
        monkeypatch.setattr("datalayer.server.node.free_port", lambda: next(ports))
        node = Node(tmp_path)
        try:
            await node.start()
            assert node.port == free
        finally:
            node.kill()


async def test_a_data_directory_in_use_is_refused(client: Client) -> None:
    """The error names the directory and the process that has it; that one goes on."""
    folder = (await client.admin.command("getCmdLineOpts"))["parsed"]["storage"]["dbPath"]
    pid = (await client.admin.command("serverStatus"))["pid"]
    with pytest.raises(ServerStartError, match=rf"{folder} is in use by another mongod \(pid {pid}\)"):
        async with embedded_server(folder):
            pass
    assert (await client.admin.command("serverStatus"))["pid"] == pid


async def test_a_data_directory_that_is_a_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "data"
    file.touch()
    with pytest.raises(ServerStartError, match=f"{file} is a file"):
        async with embedded_server(file):
            pass
    with pytest.raises(ServerStartError, match="cannot be created: Not a directory"):
        async with embedded_server(file / "below"):
            pass


async def test_a_directory_of_another_number_of_nodes_is_refused(tmp_path: Path) -> None:
    """Opening it would show an empty database, or wait for members that never come."""
    for folder in ("one", "three/node0", "three/node1", "three/node2"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "WiredTiger").touch()
    with pytest.raises(ServerStartError, match=r"a replica set of 1, not of 3.*replicas=1"):
        async with embedded_server(tmp_path / "one", replicas=3):
            pass
    with pytest.raises(ServerStartError, match=r"a replica set of 3, not of 1.*replicas=3"):
        async with embedded_server(tmp_path / "three"):
            pass


async def test_damaged_data_ends_with_what_mongod_says(tmp_path: Path) -> None:
    (tmp_path / "storage.bson").write_bytes(b"junk")
    (tmp_path / "WiredTiger").touch()
    (tmp_path / "WiredTiger.turtle").write_bytes(b"junk")
    with pytest.raises(ServerStartError, match=r"exited during start-up \((exit status|signal) \d+: \w+") as raised:
        async with embedded_server(tmp_path):
            pass
    assert str(tmp_path / "mongod.log") in str(raised.value.hint)


@pytest.mark.parametrize("arguments", [{"replicas": 2}, {"replicas": 9}, {"port": 0}, {"port": 65534, "replicas": 3}])
async def test_numbers_out_of_range_are_refused(arguments: dict[str, int]) -> None:
    with pytest.raises(InvalidInputError, match=r"^(replicas|port): "):
        async with embedded_server(None, **arguments):
            pass


async def test_a_configured_program_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """No other one is taken in its place."""
    monkeypatch.setenv("DATALAYER_MONGOD", "/nonexistent/mongod")
    with pytest.raises(ServerNotFoundError, match=r"DATALAYER_MONGOD names /nonexistent/mongod, which is not"):
        async with embedded_server():
            pass


async def test_without_any_program_the_error_says_how_to_get_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_distribution(name: str) -> None:
        raise PackageNotFoundError(name)

    monkeypatch.delenv("DATALAYER_MONGOD", raising=False)
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setattr("importlib.metadata.distribution", no_distribution)
    with pytest.raises(ServerNotFoundError) as raised:
        async with embedded_server():
            pass
    assert raised.value.hint is not None
    assert "pip install 'opentribe-datalayer[embedded]'" in raised.value.hint
    assert "DATALAYER_MONGOD" in raised.value.hint
    assert "memory=True" in raised.value.hint
    assert "\n" not in str(raised.value)


async def test_a_program_that_is_too_old_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its flags and its transactions are not those that the library is tested with."""
    program = _fake_program(tmp_path, "echo 'db version v4.4.29'")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("DATALAYER_MONGOD", raising=False)
    with pytest.raises(ServerNotFoundError, match=rf"{program} is MongoDB 4\.4, which is too old: 6\.0 is needed"):
        async with embedded_server():
            pass


async def test_a_program_on_the_path_is_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on macOS, where no wheel brings one."""
    (tmp_path / "mongod").symlink_to(find_mongod())
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("DATALAYER_MONGOD", raising=False)
    monkeypatch.setattr("datalayer.server.program._from_extra", lambda: None)
    async with embedded_server() as uri:
        assert await _count(uri) == 0


@pytest.mark.parametrize("module", ["fcntl", "resource"])
def test_windows_is_told_what_to_do_in_one_line(module: str) -> None:
    """It lacks modules of Unix: the library can be imported there, and the server's error names the ways round."""
    program = (
        f"import asyncio, sys; sys.modules[{module!r}] = None\n"
        "from datalayer import DataLayerError, embedded_server\n"
        "async def main():\n"
        "    async with embedded_server(): pass\n"
        "try: asyncio.run(main())\n"
        "except DataLayerError as error: sys.exit(str(error))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)  # noqa: S603
    assert done.stderr.startswith("The embedded server does not run on this system. On Windows: use it inside of WSL.")
    assert "MONGODB_URI" in done.stderr
    assert "memory=True" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("library", "package"),
    [("libcurl.so.4", "libcurl4t64"), ("libcrypto.so.3", "libssl3"), ("libcrypto.so.1.1", "OpenSSL 1.1")],
)
async def test_a_missing_system_library_is_named_with_its_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, library: str, package: str
) -> None:
    loader = f"mongod: error while loading shared libraries: {library}: cannot open shared object file"
    program = _fake_program(tmp_path, f"echo '{loader}: No such file or directory' >&2; exit 127")
    monkeypatch.setenv("DATALAYER_MONGOD", str(program))
    with pytest.raises(ServerStartError, match=f"{program} needs the system library {library}") as raised:
        async with embedded_server():
            pass
    assert package in str(raised.value.hint)


async def test_a_program_that_refuses_to_start_is_quoted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = _fake_program(tmp_path, '[ "$1" = --version ] || { echo "no such engine" >&2; exit 2; }')
    monkeypatch.setenv("DATALAYER_MONGOD", str(program))
    with pytest.raises(ServerStartError, match=r"exit status 2: no such engine"):
        async with embedded_server():
            pass


def test_the_server_dies_with_its_process(tmp_path: Path) -> None:
    """Nobody can clean up after `kill -9`: the kernel does."""
    with subprocess.Popen(  # noqa: S603
        [sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        pid = int(holder.stdout.readline())
        os.kill(pid, 0)
        holder.kill()
        holder.wait()
        wait_until_gone(pid)


HOST = """
import asyncio
from datalayer import embedded_server

async def main():
    async with embedded_server() as uri:
        print(uri, flush=True)
        await asyncio.sleep(60)

asyncio.run(main())
"""


@pytest.mark.thorough
async def test_the_next_server_removes_what_a_killed_process_has_left(temporary_folders: Path) -> None:
    """The data of a server that runs stays, and so does what somebody else has put there."""
    environment = {**os.environ, "TMPDIR": str(temporary_folders)}
    (temporary_folders / "datalayer-mine").mkdir()
    command = [sys.executable, "-c", HOST]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as host:  # noqa: ASYNC220, S603
        assert host.stdout is not None
        uri = host.stdout.readline().strip()
        (held,) = set(os.listdir(temporary_folders)) - {"datalayer-mine"}  # noqa: PTH208
        async with embedded_server():
            await _insert(uri)
            assert held in os.listdir(temporary_folders)  # noqa: PTH208
        host.kill()
    async with embedded_server():
        assert held not in os.listdir(temporary_folders)  # noqa: PTH208
    assert os.listdir(temporary_folders) == ["datalayer-mine"]  # noqa: PTH208


async def test_the_command_prints_the_uri_and_stops_on_sigterm(tmp_path: Path) -> None:
    """A script reads one line and has a server; the data is there the next time."""
    command = [sys.executable, "-m", "datalayer.cli", "server", "--data-dir", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:  # noqa: ASYNC220, S603
        assert server.stdout is not None
        uri = server.stdout.readline().strip()
        await _insert(uri)
        server.send_signal(signal.SIGTERM)
        rest, hint = server.communicate(timeout=10)
        assert (server.returncode, rest) == (0, "")
        assert f"export MONGODB_URI='{uri}'" in hint
        # The lock file is empty after an orderly stop only.
        assert (tmp_path / "mongod.lock").read_text() == ""


def test_the_command_says_what_is_wrong_in_one_line(tmp_path: Path) -> None:
    file = tmp_path / "data"
    file.touch()
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-m", "datalayer.cli", "server", "--data-dir", str(file)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"error: The data directory {file} is a file. Choose a directory.\n"


def test_the_command_without_its_extra_says_how_to_install_it() -> None:
    code = "import sys; sys.modules['rich'] = None; import datalayer.cli"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)  # noqa: S603
    assert done.returncode == 1
    assert done.stderr == "The datalayer command needs rich: pip install 'opentribe-datalayer[cli]'\n"
