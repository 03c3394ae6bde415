"""What the tests share, besides the fixtures of the library's own pytest plugin; and how much of them is run.

- `pytest -m quick`: the tests that are marked `quick`, for a look at a change while it is made.
- `pytest`: all tests except those that are marked `thorough`, which repeat at length what another one proves. A test
  that is marked `share(n)` runs every n-th of its cases.
- `pytest --thorough`: all tests with all cases, and more examples of each property.
"""

from collections import Counter
from collections.abc import AsyncIterator

import pytest
from hypothesis import settings
from pymongo import AsyncMongoClient
from pymongo.uri_parser import parse_uri

pytest_plugins = ["pytester"]

# How long an example takes is the machine's matter; benchmarks are elsewhere. The examples are the same in each run, so
# that a change is what makes a difference.
settings.register_profile("usual", deadline=None, derandomize=True, max_examples=15)
settings.register_profile("thorough", settings.get_profile("usual"), max_examples=100)
# Others each time, for a long run: pytest --hypothesis-profile=soak
settings.register_profile("soak", deadline=None, max_examples=5_000)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option."""
    parser.addoption("--thorough", action="store_true", help="run every test, with more examples")


def pytest_configure(config: pytest.Config) -> None:
    """Choose how many examples of a property are tried, before the tests are imported."""
    settings.load_profile("thorough" if config.getoption("thorough") else "usual")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the tests that are marked `thorough`, and all but a share of the cases of others, unless asked for."""
    if config.getoption("thorough"):
        return
    cases = Counter[object]()
    usual: list[pytest.Item] = []
    thorough: list[pytest.Item] = []
    for item in items:
        share = item.get_closest_marker("share")
        test = item.nodeid.partition("[")[0]
        is_left_out = share is not None and cases[test] % share.args[0] != 0
        cases[test] += 1
        (thorough if is_left_out or item.get_closest_marker("thorough") else usual).append(item)
    config.hook.pytest_deselected(items=thorough)
    items[:] = usual


@pytest.fixture(scope="session")
def thorough(pytestconfig: pytest.Config) -> bool:
    """Whether to try every case, instead of letting them take turns."""
    return pytestconfig.getoption("thorough")


@pytest.fixture(scope="session")
def server_uri(datalayer_uri: str) -> str:
    """The server of the run, for databases of other names."""
    return datalayer_uri.replace(f"/{parse_uri(datalayer_uri)['database']}?", "/?")


@pytest.fixture(scope="session")
async def client(server_uri: str) -> AsyncIterator[AsyncMongoClient]:
    """A client of the server that the run shares."""
    async with AsyncMongoClient(server_uri) as client:
        yield client
