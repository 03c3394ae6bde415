"""The pytest plugin: a fresh, empty database for each test.

The plugin is active wherever the library is installed, and costs nothing until a test uses one of its fixtures:

- `community` and `stories`: open databases, empty at the start of each test;
- `datalayer_clock`: the clock of both databases, which stands still until the test moves it. To use the system time,
  define a fixture of this name in `conftest.py` that returns `datalayer.engine.clock.system_clock`;
- `datalayer_uri`: the URI of the databases, for an application that opens its own connection.

The databases are on a real server that the test run starts itself; with pytest-xdist, one per worker. The tests are
async, so they need a plugin that runs them: pytest-asyncio, in either mode and with loops of any scope, or anyio with
asyncio.

To use another server, set `--datalayer-uri`, or `datalayer_uri` in the configuration file. Each process then creates
its own database there, and drops it at the end. With `--datalayer-memory`, or `datalayer_memory = true`, there is no
server, and the tests prove no rule of the data: see `datalayer.testing.open_database`.
"""

# Import nothing of the library here: every pytest run in the environment would wait for it.
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
    """The sandbox that provides the databases of this process."""
    from datalayer.testing.sandbox import open_sandbox  # noqa: PLC0415 - see above

    uri = pytestconfig.getoption("datalayer_uri") or pytestconfig.getini("datalayer_uri") or None
    memory = pytestconfig.getoption("datalayer_memory") or pytestconfig.getini("datalayer_memory")
    if uri and memory:
        raise pytest.UsageError("datalayer: a server URI and databases in memory cannot be combined")
    with open_sandbox(uri, memory=memory) as sandbox:
        yield sandbox


@pytest.fixture(scope="session")
def datalayer_uri(_datalayer_sandbox: "Sandbox") -> str:
    """The URI of the database that both `community` and `stories` use.

    Documents that others write there are removed too, before the next test that uses `community` or `stories`. Tests
    may also use other databases on the server.
    """
    return _datalayer_sandbox.uri


@pytest.fixture
def datalayer_clock() -> "Clock":
    """A `FrozenClock`, set to the time at which the test starts."""
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
