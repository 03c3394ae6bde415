"""A pytest plugin: records which functions each test calls, or runs the chosen tests in a given order.

`pytest -p tests.mutants.plugin --mutants-record FOLDER` writes a file for each process; `--mutants-select FILE` reads
what `tests.mutants.record.Record.chosen` chose.
"""

import json
import os
import signal
import sys
import time
from collections.abc import Generator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

PACKAGE = "datalayer"

TIMED_OUT = ".timed-out"
"""What is appended to the selection's name, for the file that names a test that did not end."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    parser.addoption("--mutants-record", type=Path)
    parser.addoption("--mutants-select", type=Path)


def pytest_configure(config: pytest.Config) -> None:
    """Do what the options ask for."""
    if folder := config.getoption("--mutants-record"):
        config.pluginmanager.register(_Recorder(folder, f"{config.rootpath}/"))
    if file := config.getoption("--mutants-select"):
        config.pluginmanager.register(_Selection(file))


class _Recorder:
    """Notes the functions of the package that are called while a test runs, its fixtures included."""

    def __init__(self, folder: Path, root: str) -> None:
        self._folder, self._root = folder, root
        self._tests: dict[str, dict[str, Any]] = {}
        self._failed: set[str] = set()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        """Watch the test."""
        called: set[tuple[str, str]] = set()
        package = f"{self._root}{PACKAGE}/"

        def trace(frame: FrameType, _event: str, _argument: object) -> None:
            if frame.f_code.co_filename.startswith(package):
                called.add((frame.f_code.co_filename, frame.f_code.co_qualname))

        start = time.monotonic()
        sys.settrace(trace)
        try:
            return (yield)
        finally:
            sys.settrace(None)
            functions = sorted(f"{file.removeprefix(self._root)}:{name}" for file, name in called)
            self._tests[item.nodeid] = {"seconds": round(time.monotonic() - start, 3), "functions": functions}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A test that fails without a mutant tells nothing."""
        if report.failed:
            self._failed.add(report.nodeid)

    def pytest_sessionfinish(self) -> None:
        """Write what was seen."""
        passed = {name: test for name, test in self._tests.items() if name not in self._failed}
        self._folder.mkdir(parents=True, exist_ok=True)
        (self._folder / f"{os.getpid()}.json").write_text(json.dumps(passed))


class _Selection:
    """Runs the chosen tests, and before them those that no record knows."""

    def __init__(self, file: Path) -> None:
        selection: dict[str, Any] = json.loads(file.read_text())
        self._timed_out = file.with_name(file.name + TIMED_OUT)
        self._places = {name: place for place, name in enumerate(selection["chosen"])}
        self._others = set(selection["others"])
        self._limits: dict[str, float] = selection["limits"]

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Put the tests in their order."""
        config.hook.pytest_deselected(items=[item for item in items if item.nodeid in self._others])
        items[:] = [item for item in items if item.nodeid not in self._others]
        items.sort(key=lambda item: self._places.get(item.nodeid, -1))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        """End the process where the test does not end."""

        def end(*_: object) -> None:
            self._timed_out.write_text(item.nodeid)
            os._exit(1)

        signal.signal(signal.SIGALRM, end)
        signal.setitimer(signal.ITIMER_REAL, self._limits.get(item.nodeid, max(self._limits.values(), default=60)))
        try:
            return (yield)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
