"""What the database may hold, after all that was acknowledged and all whose outcome is unknown."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TextIO

from datalayer.errors import DataLayerError, OutcomeUnknownError

Register = tuple[str, ...]
"""What one task alone changes: a text or a relation, by its table and its keys."""

Value = str | None
"""A text's version and flags; `None` where there is no such document."""

Change = Callable[[Value], Value]
"""What a write makes of a value."""

_NOTHING: frozenset[Value] = frozenset({None})


class Ledger:
    """For each register the values that are possible: one where its last change was acknowledged.

    Args:
        found: What is there before the first change.
        journal: Where each change of what is possible is written, for a reader that outlives this process.
        keep: How many registers are remembered, where the journal has the others: those that changed last.
    """

    def __init__(
        self, found: Mapping[Register, Value] | None = None, journal: TextIO | None = None, keep: int | None = None
    ) -> None:
        self._possible = {register: frozenset({value}) for register, value in (found or {}).items()}
        self._journal, self._keep = journal, keep

    def __len__(self) -> int:
        return len(self._possible)

    def possible(self, register: Register) -> frozenset[Value]:
        """The values that are possible."""
        return self._possible.get(register, _NOTHING)

    @contextmanager
    def changing(self, changes: Mapping[Register, Change]) -> Iterator[None]:
        """Around a write: where the block ends well all of it has happened.

        Where its outcome is unknown it may have; any other error of the library's says that nothing has.
        """
        before = {register: self.possible(register) for register in changes}
        after = {register: frozenset(map(change, before[register])) for register, change in changes.items()}
        self._note({register: before[register] | after[register] for register in changes})
        try:
            yield
        except OutcomeUnknownError:
            raise
        except DataLayerError:
            self._note(before)
            raise
        self._note(after)

    def found(self, register: Register, value: Value) -> None:
        """Note what an acknowledged write has found."""
        assert value in self.possible(register), self._sentence(register, value)
        self._note({register: frozenset({value})})

    def replay(self, line: str) -> None:
        """Take over what another process has written to its journal."""
        for register, values in json.loads(line):
            self._possible[tuple(register)] = frozenset(values)

    def differences(self, found: Mapping[Register, Value]) -> list[str]:
        """One sentence for each register that is not what it has to be; also for what nobody has written."""
        return [
            self._sentence(register, found.get(register))
            for register in sorted(self._possible.keys() | found.keys())
            if found.get(register) not in self.possible(register)
        ]

    def _note(self, possible: Mapping[Register, frozenset[Value]]) -> None:
        for register, values in possible.items():
            self._possible.pop(register, None)
            self._possible[register] = values
        while self._keep is not None and len(self._possible) > self._keep:
            del self._possible[next(iter(self._possible))]
        if self._journal is not None:
            print(json.dumps([(register, list(values)) for register, values in possible.items()]), file=self._journal)
            self._journal.flush()

    def _sentence(self, register: Register, value: Value) -> str:
        return f"{' '.join(register)} is {value!r}, possible are {sorted(map(repr, self.possible(register)))}"


def to(value: Value) -> Change:
    """Whatever it was, it is this."""
    return lambda _: value


def version(number: str) -> Change:
    """The text is another one; its flags stay."""
    return _kept(lambda words: [number, *words[1:]])


def flag(name: str) -> Change:
    """It has the flag."""
    return _kept(lambda words: [words[0], *sorted({*words[1:], name})])


def no_flag(*names: str) -> Change:
    """It does not have the flags."""
    return _kept(lambda words: [words[0], *(word for word in words[1:] if word not in names)])


def _kept(change: Callable[[list[str]], list[str]]) -> Change:
    """The change of what is there; what is not there stays so."""
    return lambda value: None if value is None else " ".join(change(value.split()))
