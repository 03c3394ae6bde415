"""The pytest plugin: databases that are empty when a test begins.

It is there wherever the library is installed, and costs nothing before a test asks for one of its fixtures:

- `community` and `stories`: open databases, empty for each test whoever wrote what before;
- `datalayer_clock`: the clock of both, which stands still until the test moves it. A fixture of this name in a
  `conftest.py` that gives `datalayer.engine.clock.system_clock` lets time pass;
- `datalayer_uri`: where they are, for an application that opens its own connection.

The databases are on a real server that the run starts itself; with pytest-xdist, each worker has one. The tests are
async, so a plugin that runs them is needed: pytest-asyncio, in either mode and with loops of any scope, or anyio's with
asyncio.

`--datalayer-uri`, or `datalayer_uri` in the configuration file, names a server to use instead; each process makes a
database of its own there, and drops it. With `--datalayer-memory`, or `datalayer_memory = true`, there is no server at
all, and no proof of any rule: see `datalayer.testing.open_database`.
"""

# Nothing of the library is imported here: every run of pytest in the environment would wait for it.
from collections.abc import Generator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from datalayer import Community, Stories
    from datalayer.engine.clock import Clock
    from datalayer.testing.sandbox import Sandbox


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    group = parser.getgroup("datalayer", "databases of datalayer")
    uri, memory = "use the MongoDB server at this URI", "use databases in memory, which prove no rule"
    group.addoption("--datalayer-uri", metavar="URI", help=uri)
    group.addoption("--datalayer-memory", action="store_true", help=memory)
    parser.addini("datalayer_uri", uri)
    parser.addini("datalayer_memory", memory, type="bool", default=False)


@pytest.fixture(scope="session")
def _datalayer_sandbox(pytestconfig: pytest.Config) -> "Generator[Sandbox]":
    """Where the databases of this process are."""
    from datalayer.testing.sandbox import open_sandbox  # noqa: PLC0415 - see above

    uri = pytestconfig.getoption("datalayer_uri") or pytestconfig.getini("datalayer_uri") or None
    memory = pytestconfig.getoption("datalayer_memory") or pytestconfig.getini("datalayer_memory")
    if uri and memory:
        raise pytest.UsageError("datalayer: a server and databases in memory are asked for at once")
    with open_sandbox(uri, memory=memory) as sandbox:
        yield sandbox


@pytest.fixture(scope="session")
def datalayer_uri(_datalayer_sandbox: "Sandbox") -> str:
    """The URI of the one database that both `community` and `stories` are in.

    What is written there by others is removed with the rest, before the next test that asks for `community` or
    `stories`. The server may be used for other databases, too, which are nobody's matter but the tests'.
    """
    return _datalayer_sandbox.uri


@pytest.fixture
def datalayer_clock() -> "Clock":
    """A `FrozenClock`, which stands still at the moment when the test begins."""
    from datalayer.testing.clock import FrozenClock  # noqa: PLC0415 - see above

    return FrozenClock()


@pytest.fixture
def community(_datalayer_sandbox: "Sandbox", datalayer_clock: "Clock") -> "Generator[Community]":
    """An empty community."""
    from datalayer import Community  # noqa: PLC0415 - see above

    with _datalayer_sandbox.opened(Community, datalayer_clock) as community:
        yield community


@pytest.fixture
def stories(_datalayer_sandbox: "Sandbox", datalayer_clock: "Clock") -> "Generator[Stories]":
    """An empty story generator."""
    from datalayer import Stories  # noqa: PLC0415 - see above

    with _datalayer_sandbox.opened(Stories, datalayer_clock) as stories:
        yield stories
