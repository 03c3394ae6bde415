"""Copies of the repository in which tests are run: the working tree is never changed."""

import asyncio
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from tests.mutants.changes import Mutant
from tests.mutants.plugin import TIMED_OUT
from tests.mutants.record import Choice, Record

_PYTEST = ("-m", "pytest", "-p", "tests.mutants.plugin", "-p", "no:cacheprovider", "-q", "--tb=no")

_PASSED = (0, 5)
"""Pytest's exit status when all tests passed, and when there was none."""

_FAILED = re.compile(r"^(?:FAILED|ERROR) (.+?)(?: - .*)?$", re.MULTILINE)


@dataclass(frozen=True)
class Verdict:
    """What came of a mutant.

    Attributes:
        killer: The test that failed, if one did.
        tests: How many tests were to be run.
        left_out: How many were not, because there are too many.
        seconds: How long it took.
    """

    killer: str | None
    tests: int
    left_out: int
    seconds: float

    def __str__(self) -> str:
        if self.killer is not None:
            return f"killed by {self.killer} ({self.seconds:.0f} s)"
        more = f", {self.left_out} more were not run" if self.left_out else ""
        return f"LIVED through {self.tests} tests{more} ({self.seconds:.0f} s)"


class Copy:
    """A copy of the repository with everything that git does not ignore."""

    def __init__(self, original: Path, root: Path) -> None:
        self.root = root
        listed = subprocess.run(
            ("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"),  # noqa: S607
            cwd=original,
            capture_output=True,
            check=True,
        )
        for name in filter(None, listed.stdout.decode().split("\0")):
            if (original / name).is_file():
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(original / name, root / name)
        self._time = int(time.time())

    async def record(self, suite: Sequence[str], processes: int, into: Path) -> None:
        """Run the tests without a mutant, and record what they call."""
        folder = self.root / ".mutants"
        with (self.root / ".mutants.log").open("w+b") as log:
            await self._run(
                log, "--mutants-record", str(folder), "-n", str(processes), "--dist", "worksteal", "-rfE", *suite
            )
            print(_text(log))
        found: dict[str, dict[str, Any]] = {}
        for file in folder.glob("*.json"):
            found |= json.loads(file.read_text())
        if not found:
            sys.exit("No test was recorded.")
        Record.save(into, self.root, suite, found)

    async def trial(self, mutant: Mutant, record: Record, seconds: float) -> Verdict:
        """Run the tests that can notice the mutant, until one does."""
        choice, start, killer = record.choose(mutant, self.root, seconds), time.monotonic(), None
        with self._changed(mutant):
            for part in choice.parts():
                killer = await self._killer(part)
                if killer is not None:
                    break
        return Verdict(killer, len(choice.tests), choice.left_out, time.monotonic() - start)

    async def _killer(self, choice: Choice) -> str | None:
        """The first of the tests that fails, and does so again by itself: one that is disturbed proves nothing."""
        while (failed := await self._first_failure(choice)) is not None:
            again = choice.alone(failed)
            if not again.tests or await self._first_failure(again) is not None:
                return failed
            choice = choice.without(failed)
        return None

    async def _first_failure(self, choice: Choice) -> str | None:
        selection = self.root / ".mutants.json"
        selection.write_text(choice.to_json())
        timed_out = selection.with_name(selection.name + TIMED_OUT)
        timed_out.unlink(missing_ok=True)
        with (self.root / ".mutants.log").open("w+b") as log:
            status = await self._run(log, "--mutants-select", str(selection), "-x", "-rfE", *choice.files)
            failed = _FAILED.findall(_text(log))
        if status in _PASSED:
            return None
        if timed_out.exists():
            return timed_out.read_text()
        return next(iter(failed), f"pytest's exit status {status}")

    @contextmanager
    def _changed(self, mutant: Mutant) -> Iterator[None]:
        file = self.root / mutant.path
        source = file.read_bytes()
        try:
            self._write(file, mutant.of(source))
            yield
        finally:
            self._write(file, source)

    def _write(self, file: Path, source: bytes) -> None:
        """Python recognizes outdated bytecode by the source's size, and its time in seconds: that must differ."""
        self._time += 10
        file.write_bytes(source)
        os.utime(file, (self._time, self._time))

    async def _run(self, log: IO[bytes], *arguments: str) -> int:
        """Run pytest on the copy's own code; the environment's editable install is behind it on the path."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, *_PYTEST, *arguments),
            cwd=self.root,
            env=os.environ | {"PYTHONPATH": str(self.root)},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            return await process.wait()
        finally:
            # Also what the tests have started, where a mutant has left that behind.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def _text(log: IO[bytes]) -> str:
    log.seek(0)
    return log.read().decode(errors="replace")


@contextmanager
def copied(original: Path) -> Iterator[Copy]:
    """A copy that is removed at the end."""
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        yield Copy(original, Path(folder))
