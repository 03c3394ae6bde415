"""The pytest plugin, in runs of pytest of their own."""

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from pymongo import AsyncMongoClient

from tests.processes import wait_until_gone

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

from pymongo import MongoClient

# A shell that runs us in the background has Ctrl-C ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)

def test_it_waits(datalayer_uri):
    with MongoClient(datalayer_uri) as client:
        Path("servers").write_text(str(client.admin.command("serverStatus")["pid"]))
    time.sleep(60)
"""


def _configure(pytester: pytest.Pytester, mode: str) -> None:
    pytester.makefile(".ini", pytest=CONFIGURATION.format(mode=mode))


def _tests(mark: str, ways: int) -> str:
    """The tests with a mark, in so many of the ways to leave something behind."""
    tests = (Path(__file__).parent / "left_behind.py").read_text()
    return tests.replace("pytest.mark.asyncio", f"pytest.mark.{mark}").replace("WAYS)", f"WAYS[:{ways}])")


@pytest.fixture
def servers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the runs write down their servers."""
    monkeypatch.setenv("SERVERS", str(tmp_path / "servers"))
    return tmp_path / "servers"


@pytest.mark.parametrize("ways", [(9, 2, 2), pytest.param((12, 5, 5), marks=pytest.mark.thorough)])
@pytest.mark.thorough
def test_a_test_finds_nothing_of_the_others(
    pytester: pytest.Pytester, servers: Path, ways: tuple[int, int, int]
) -> None:
    """Whoever wrote it, wherever to, in whichever event loop; and the server is gone when the run is over."""
    _configure(pytester, "strict")
    pytester.makepyfile(
        test_loop_for_each=_tests("asyncio", ways[0]),
        test_loop_of_the_run=_tests("asyncio(loop_scope='session')", ways[1]),
        test_anyio=_tests("anyio", ways[2]),
    )
    pytester.runpytest_subprocess().assert_outcomes(passed=sum(ways) - 3, xfailed=3)
    (server,) = set(servers.read_text().split())
    wait_until_gone(int(server))


@pytest.mark.thorough
def test_each_process_has_a_server(pytester: pytest.Pytester, servers: Path) -> None:
    """With the same isolation in each, and nothing left running."""
    _configure(pytester, "auto")
    pytester.makepyfile(_tests("asyncio", 5))
    pytester.runpytest_subprocess("--numprocesses=2").assert_outcomes(passed=4, xfailed=1)
    one, other = set(servers.read_text().split())
    wait_until_gone(int(one))
    wait_until_gone(int(other))


@pytest.mark.thorough
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_run_that_is_stopped_leaves_no_server(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    # Nobody removes the data of a run that is killed.
    monkeypatch.setenv("TMPDIR", str(pytester.path))
    _configure(pytester, "auto")
    pytester.makepyfile(WAITING)
    with subprocess.Popen([sys.executable, "-m", "pytest", "-p", "no:cacheprovider"], stdout=subprocess.DEVNULL) as run:
        server = Path("servers")
        while not (server.exists() and server.read_text()):
            assert run.poll() is None
            time.sleep(0.02)
        run.send_signal(number)
    wait_until_gone(int(server.read_text()))


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
    result = pytester.runpytest_inprocess()
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
    result = pytester.runpytest_inprocess("--datalayer-memory", "--datalayer-uri=mongodb://localhost")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*a server URI and databases in memory cannot be combined*"])
