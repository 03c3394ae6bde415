"""Chance that is the same every time."""

import hashlib
import struct
from dataclasses import dataclass
from itertools import accumulate
from random import Random

from bson import ObjectId

from datalayer.seeding.world import World

PRIME = 1_000_003
"""Larger than any number of users, so steps of it meet each of them once before they meet one again."""

_ID = struct.Struct(">I4sI")


def source(world: World, purpose: str) -> Random:
    """A source of its own for each purpose: what is drawn for one table changes nothing in another."""
    return Random(f"{world.name} {world.seed} {purpose}")  # noqa: S311 - it decides about test data


def happens(random: Random, chance: float) -> bool:
    """Whether something of this chance (0 to 1) happens this time."""
    return random.random() < chance


class Ids:
    """The ids of one table: they rise with the time of creation, and tell which world they are of."""

    def __init__(self, world: World, table: str) -> None:
        self._mark = hashlib.sha256(f"{world.model_dump_json()} {table}".encode()).digest()[:4]

    @property
    def mark(self) -> str:
        """The digits 9 to 16 of each id."""
        return self._mark.hex()

    def make(self, created_at: int, number: int) -> ObjectId:
        """The id of the table's document of this number, created at this time."""
        return ObjectId(_ID.pack(created_at // 1_000, self._mark, number))


class Deck:
    """A thousand numbers, dealt in turn and over again: few are large, most are small, and their sum is known.

    So the number for any index, and the sum of all before it, are there without a look at the others.
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
        """The sum of the numbers for 0 to `index` - 1."""
        rounds, rest = divmod(index, self.SIZE)
        return rounds * self._sums[-1] + self._sums[rest]


@dataclass(frozen=True, slots=True)
class Every:
    """The numbers that leave `rest` when they are divided by `step`: what happens now and then."""

    step: int
    rest: int

    def __contains__(self, number: int) -> bool:
        return number % self.step == self.rest

    def before(self, number: int) -> int:
        """How many of them are below this number."""
        return (number - self.rest + self.step - 1) // self.step
