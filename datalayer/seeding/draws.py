"""Reproducible randomness."""

import hashlib
import struct
from dataclasses import dataclass
from itertools import accumulate
from random import Random

from bson import ObjectId

from datalayer.seeding.world import World

PRIME = 1_000_003
"""A prime larger than any number of users: steps of this size visit every user once before any is repeated."""

_ID = struct.Struct(">I4sI")


def source(world: World, purpose: str) -> Random:
    """Return a separate random source for each purpose, so draws for one collection do not affect another."""
    return Random(f"{world.name} {world.seed} {purpose}")  # noqa: S311 - for test data only


def happens(random: Random, chance: float) -> bool:
    """Return true with the given probability (0 to 1)."""
    return random.random() < chance


class Ids:
    """Generates the ids of one collection. They increase with the creation time, and identify their world."""

    def __init__(self, world: World, table: str) -> None:
        self._mark = hashlib.sha256(f"{world.model_dump_json()} {table}".encode()).digest()[:4]

    @property
    def mark(self) -> str:
        """The hexadecimal digits 9 to 16 of each id."""
        return self._mark.hex()

    def make(self, created_at: int, number: int) -> ObjectId:
        """Return the id of the document with this number and creation time."""
        return ObjectId(_ID.pack(created_at // 1_000, self._mark, number))


class Deck:
    """A sequence that repeats a thousand numbers with a known sum; a few are large, most are small.

    So the number at any index, and the sum of all numbers before it, are computed in constant time.
    """

    SIZE = 1_000

    def __init__(self, random: Random, mean: float, most: int) -> None:
        total = round(mean * self.SIZE)
        if total > most * self.SIZE // 2:
            raise ValueError(f"a mean of {mean} leaves no room below {most}")
        weights = [random.paretovariate(2.2) for _ in range(self.SIZE)]
        scale = total / sum(weights)
        numbers = [min(most, int(weight * scale)) for weight in weights]
        while missing := total - sum(numbers):
            for index in random.sample(range(self.SIZE), min(missing, self.SIZE)):
                numbers[index] += numbers[index] < most
        self.numbers = tuple(numbers)
        self._sums = (0, *accumulate(numbers))

    def __getitem__(self, index: int) -> int:
        return self.numbers[index % self.SIZE]

    def before(self, index: int) -> int:
        """Return the sum of the numbers at 0 to `index` - 1."""
        rounds, rest = divmod(index, self.SIZE)
        return rounds * self._sums[-1] + self._sums[rest]


@dataclass(frozen=True, slots=True)
class Every:
    """The numbers with remainder `rest` when divided by `step`."""

    step: int
    rest: int

    def __contains__(self, number: int) -> bool:
        return number % self.step == self.rest

    def before(self, number: int) -> int:
        """Return how many of them are below this number."""
        return (number - self.rest + self.step - 1) // self.step
