"""The pytest plugin, in runs of pytest of their own."""

import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from pymongo import AsyncMongoClient
from pymongo.uri_parser import parse_uri

from tests.testing.runs import ALL_WAYS, SOME_WAYS, TESTS

CONFIGURATION = """
[pytest]
asyncio_mode = {mode}
asyncio_default_fixture_loop_scope = function
filterwarnings = error
"""
WAITING = """
import signal
import time
from pathlib import Path

# A shell that runs us in the background has Ctrl-C ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)

def test_it_waits(datalayer_uri):
    Path("uri").write_text(datalayer_uri)
    time.sleep(60)
"""


def _answers(uri: str) -> bool:
    ((host, port),) = parse_uri(uri)["nodelist"]
    with socket.socket() as probe:
        return probe.connect_ex((host, port)) == 0


def _configure(pytester: pytest.Pytester, mode: str) -> None:
    pytester.makefile(".ini", pytest=CONFIGURATION.format(mode=mode))


@pytest.fixture
def servers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the runs write down their servers."""
    monkeypatch.setenv("SERVERS", str(tmp_path / "servers"))
    return tmp_path / "servers"


def test_a_test_finds_nothing_of_the_others(pytester: pytest.Pytester, servers: Path) -> None:
    """Whoever wrote it, wherever to, in whichever event loop; and the server is gone when the run is over."""
    _configure(pytester, "strict")
    pytester.makepyfile(
        test_loop_for_each=TESTS.format(mark="asyncio", ways=ALL_WAYS),
        test_loop_of_the_run=TESTS.format(mark="asyncio(loop_scope='session')", ways=SOME_WAYS),
        test_anyio=TESTS.format(mark="anyio", ways=SOME_WAYS),
    )
    pytester.runpytest_subprocess().assert_outcomes(passed=ALL_WAYS + 2 * SOME_WAYS - 3, xfailed=3)
    (uri,) = set(servers.read_text().split())
    assert not _answers(uri)


def test_each_process_has_a_server(pytester: pytest.Pytester, servers: Path) -> None:
    """With the same isolation in each, and nothing left running."""
    _configure(pytester, "auto")
    pytester.makepyfile(TESTS.format(mark="asyncio", ways=SOME_WAYS))
    pytester.runpytest_subprocess("--numprocesses=2").assert_outcomes(passed=SOME_WAYS - 1, xfailed=1)
    uris = set(servers.read_text().split())
    assert len(uris) == 2
    assert not any(_answers(uri) for uri in uris)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_run_that_is_stopped_leaves_no_server(pytester: pytest.Pytester, number: signal.Signals) -> None:
    _configure(pytester, "auto")
    pytester.makepyfile(WAITING)
    with subprocess.Popen([sys.executable, "-m", "pytest", "-p", "no:cacheprovider"], stdout=subprocess.DEVNULL) as run:
        uri = Path("uri")
        while not (uri.exists() and uri.read_text()):
            assert run.poll() is None
            time.sleep(0.02)
        assert _answers(uri.read_text())
        run.send_signal(number)
    deadline = time.monotonic() + 10
    while _answers(uri.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_run_that_asks_for_nothing_pays_nothing(pytester: pytest.Pytester) -> None:
    """Neither the library nor the driver is imported."""
    _configure(pytester, "auto")
    pytester.makepyfile(
        """
        import sys

        def test_it(request):
            assert request.config.pluginmanager.has_plugin("datalayer")
            assert {"pymongo", "beanie", "pydantic", "datalayer.database", "datalayer.server"}.isdisjoint(sys.modules)
        """
    )
    pytester.runpytest_subprocess("-p", "no:hypothesispytest").assert_outcomes(passed=1)


def test_without_a_server_program_the_error_says_how_to_get_one(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATALAYER_MONGOD", "/nowhere/mongod")
    _configure(pytester, "auto")
    pytester.makepyfile("async def test_it(community): pass")
    result = pytester.runpytest_subprocess()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*ServerNotFoundError: DATALAYER_MONGOD names /nowhere/mongod*Set it to the path*"])


async def test_a_server_that_runs_already(
    pytester: pytest.Pytester, client: AsyncMongoClient[dict[str, Any]], server_uri: str
) -> None:
    """The run has a database of its own, which it drops; what is somebody else's is never touched."""
    _configure(pytester, "auto")
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.parametrize("number", range(2))
        async def test_it(community, number):
            assert (await community.users.directory()).items == []
            await community.users.create(name="Ada")
            await community.database.client.theirs.things.insert_one({"number": number})
        """
    )
    before = set(await client.list_database_names())
    try:
        pytester.runpytest_subprocess(f"--datalayer-uri={server_uri}").assert_outcomes(passed=2)
        assert set(await client.list_database_names()) == before | {"theirs"}
        assert await client.theirs.things.count_documents({}) == 2
    finally:
        await client.drop_database("theirs")


def test_a_server_and_memory_are_not_asked_for_at_once(pytester: pytest.Pytester) -> None:
    _configure(pytester, "auto")
    pytester.makepyfile("async def test_it(community): pass")
    result = pytester.runpytest_subprocess("--datalayer-memory", "--datalayer-uri=mongodb://localhost")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*a server and databases in memory are asked for at once*"])
