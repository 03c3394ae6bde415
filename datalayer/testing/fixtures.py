"""Fixtures for databases of an application's own."""

from collections.abc import Generator
from typing import TypeVar

import pytest

from datalayer.database import Database
from datalayer.engine.clock import Clock
from datalayer.testing.sandbox import Sandbox

D = TypeVar("D", bound=Database)


def database_fixture(kind: type[D]) -> object:
    """Return a fixture that gives each test an empty database of a product of your own.

    In a `conftest.py`:

    ```python
    app = database_fixture(App)
    ```

    It is to `App` what the fixture `community` is to `Community`: on the same server, in the same database
    (`datalayer_uri`), with the same clock (`datalayer_clock`), and in memory with `--datalayer-memory`.

    Args:
        kind: A subclass of `Community`, `Stories` or `Database`.
    """

    @pytest.fixture
    def opened(_datalayer_sandbox: Sandbox, datalayer_clock: Clock) -> Generator[D]:
        with _datalayer_sandbox.opened(kind, datalayer_clock) as database:
            yield database

    return opened
