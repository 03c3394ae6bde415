"""How long, and the table of figures at the end."""

import os
from collections.abc import Iterator

import pytest

from tests.reliability.conftest import servers

__all__ = ["servers"]

SECONDS = float(os.environ.get("SOAK_SECONDS", "600"))
"""How long all of it takes, about: `SOAK_SECONDS=3600 make soak`."""

_figures: list[tuple[str, object]] = []


@pytest.fixture
def figures(request: pytest.FixtureRequest) -> Iterator[dict[str, object]]:
    """What the run has measured, by name; printed when all are done."""
    found: dict[str, object] = {}
    yield found
    _figures.append((request.node.name, ""))
    _figures.extend((f"  {name}", value) for name, value in found.items())


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the table."""
    terminalreporter.section("figures")
    for name, value in _figures:
        terminalreporter.write_line(f"{name:36} {value}")
