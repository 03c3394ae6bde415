"""Which functions each test calls: the tests that can notice a change, the most specific ones first."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tests.mutants.changes import Mutant

FOR_DECLARATIONS = ("tests/unit/", "tests/schema/", "tests/surface/", "tests/indexes/")
"""Tests of what modules declare: they look at classes and constants, and call nothing."""

PATIENCE = 20
"""How much longer a test may take with a mutant than it took when it was recorded."""

_FIRST = 25

SHORTEST_LIMIT = 60.0
"""How many seconds a test may take at least."""


@dataclass(frozen=True)
class Test:
    """What is known of a test.

    Attributes:
        name: Its id in pytest.
        seconds: How long it took.
        functions: What it called, as `path:qualified name`.
    """

    name: str
    seconds: float
    functions: frozenset[str]

    @property
    def file(self) -> str:
        """The file that it is in."""
        return self.name.partition("::")[0]


class Record:
    """All tests, as they were when they were recorded."""

    def __init__(self, tests: Iterable[Test], files: dict[str, str], suite: Sequence[str]) -> None:
        self._tests = list(tests)
        self._files = files
        # The slowest test of a file is often the one that prepares what they share. In powers of two.
        self._costs: Counter[str] = Counter()
        for test in self._tests:
            self._costs[test.file] = max(self._costs[test.file], int(test.seconds).bit_length())
        self._suite = suite

    @classmethod
    def load(cls, file: Path) -> "Record":
        """Read it from a file."""
        content = json.loads(file.read_text())
        names: list[str] = content["functions"]
        tests = [
            Test(name, test["seconds"], frozenset(names[number] for number in test["functions"]))
            for name, test in content["tests"].items()
        ]
        return cls(tests, content["files"], content["suite"])

    @staticmethod
    def save(file: Path, root: Path, suite: Sequence[str], found: dict[str, dict[str, Any]]) -> None:
        """Write what the plugin has found, with a digest of each file of the suite."""
        functions = sorted({name for test in found.values() for name in test["functions"]})
        numbers = {name: number for number, name in enumerate(functions)}
        tests = {
            name: test | {"functions": [numbers[function] for function in test["functions"]]}
            for name, test in sorted(found.items())
        }
        content = {"suite": suite, "files": _digests(root, suite), "functions": functions, "tests": tests}
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(content))

    def choose(self, mutant: Mutant, root: Path, seconds: float) -> "Choice":
        """The tests that call the mutant's function, limited in time; those first that are fast and call little else.

        For a change outside of functions, or in one that is called only when modules are imported, the tests that call
        anything in its module, and those of declarations.
        """
        place = f"{mutant.path}:{mutant.function}"
        able = [test for test in self._tests if mutant.function and place in test.functions]
        able = able or [test for test in self._tests if self._declares(test, mutant)]
        able.sort(key=lambda test: (self._costs[test.file], len(test.functions), test.seconds, test.name))
        chosen, total = list[Test](), 0.0
        for test in able:
            if total + test.seconds <= seconds or not chosen:
                chosen.append(test)
                total += test.seconds
        changed = {file for file, digest in _digests(root, self._suite).items() if self._files.get(file) != digest}
        return Choice(chosen, len(able) - len(chosen), frozenset(test.name for test in self._tests), changed)

    def _declares(self, test: Test, mutant: Mutant) -> bool:
        return test.name.startswith(FOR_DECLARATIONS) or any(
            name.startswith(f"{mutant.path}:") for name in test.functions
        )


@dataclass(frozen=True)
class Choice:
    """The tests to run for a mutant.

    Attributes:
        tests: In this order.
        left_out: How many more could notice the change, and would take too long.
        known: The names of all tests that were recorded.
        changed: The files that have changed since; what is new in them is run, too.
    """

    tests: Sequence[Test]
    left_out: int
    known: frozenset[str]
    changed: AbstractSet[str]

    @property
    def files(self) -> list[str]:
        """The files to collect."""
        return sorted({test.file for test in self.tests} | self.changed)

    def parts(self) -> Iterator["Choice"]:
        """The few that are most likely to notice, without what it takes to collect all others; and the others."""
        first, others = self.tests[:_FIRST], self.tests[_FIRST:]
        if first or self.changed:
            yield replace(self, tests=first)
        if others:
            yield replace(self, tests=others, changed=frozenset())

    def alone(self, name: str) -> "Choice":
        """That test of it, if it was recorded."""
        return replace(self, tests=[test for test in self.tests if test.name == name], changed=frozenset())

    def without(self, name: str) -> "Choice":
        """The tests that come after it."""
        names = [test.name for test in self.tests]
        return replace(self, tests=self.tests[names.index(name) + 1 :], changed=frozenset())

    def to_json(self) -> str:
        """For the plugin."""
        limits = {test.name: max(SHORTEST_LIMIT, PATIENCE * test.seconds) for test in self.tests}
        others = sorted(self.known - limits.keys())
        return json.dumps({"chosen": list(limits), "others": others, "limits": limits})


def _digests(root: Path, suite: Sequence[str]) -> dict[str, str]:
    """What tells whether a file has changed, for each file with tests."""
    files = (file for folder in suite for file in (root / folder).rglob("test_*.py"))
    return {str(file.relative_to(root)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}
