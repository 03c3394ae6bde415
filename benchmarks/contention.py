"""Throughput and latency of many tasks that write to one hot document, compared with one task alone.

The rounds of all shapes are interleaved. A round starts no calls after its time is over, and cancels those that have
not finished a few seconds later.
"""

import argparse
import math
import statistics
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

from bson import ObjectId

from benchmarks.crowd import Call, Crowd, Done, Shape
from benchmarks.hot import BESIDE, RENAMING, WORKS, WRITING, missing
from benchmarks.work import Row, user
from datalayer import Community, embedded_server
from datalayer.ids import UserId

LONE = Shape(1, 1)
SHAPES = (Shape(1, 8), Shape(1, 32), Shape(1, 128), Shape(4, 8), Shape(8, 1))

WRITERS = Shape(1, 32)
RENAMING_TIMES = 4
"""Rounds with a renaming are this many times as long, because one renaming takes seconds."""

USERS_EACH_SECOND = 24_000
"""Each call of a round uses a different user, so there must be more users than calls."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What to measure, and for how long.

    Attributes:
        rows: The names of the work to measure.
        shapes: The shapes to compare with one task alone.
        seconds: The length of a round.
        rounds: The number of rounds of each shape.
    """

    rows: Sequence[str] = (*WORKS, RENAMING)
    shapes: Sequence[Shape] = SHAPES
    seconds: float = 2.0
    rounds: int = 3

    @property
    def is_whole(self) -> bool:
        """True if it includes every row and every column of the table."""
        return set(self.rows) == {*WORKS, RENAMING} and set(self.shapes) == set(SHAPES)


@dataclass(frozen=True, slots=True)
class Measured:
    """The results for one shape. Medians of the rounds, unless stated otherwise.

    Attributes:
        each_second: Acknowledged calls per second.
        ratio: The same, as a multiple of what one task alone reached in the same round.
        p50: The median time of a call, as a multiple of the lone task's median.
        p99: The 99th percentile, as a multiple of the same.
        calls: The number of calls in all rounds.
        failures: The number of failed calls in all rounds, by the name of the error.
        wait: The longest wait of a call, as a multiple of the line in front of it; see `longest_wait`.
        beside: How often `Work.beside` was done in all rounds.
    """

    each_second: float
    ratio: float
    p50: float
    p99: float
    calls: int
    failures: Mapping[str, int]
    wait: float
    beside: int


@dataclass(frozen=True, slots=True)
class Results:
    """The results, and the work that was left out with the reason; by name."""

    rows: dict[str, dict[Shape, Measured]] = field(default_factory=dict[str, dict[Shape, Measured]])
    left_out: dict[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class _Round:
    """The work of all processes in one round."""

    done: Sequence[Done]
    seconds: float

    @property
    def calls(self) -> list[Call]:
        return list(chain.from_iterable(done.calls for done in self.done))

    @property
    def each_second(self) -> float:
        """Acknowledged calls per second. Calls that end after the round are not counted."""
        return sum(call.failure is None and call.ended <= self.seconds for call in self.calls) / self.seconds

    def quantile(self, part: float) -> float:
        """This quantile of the time of a call, in seconds. The time until a failure counts too."""
        seconds = sorted(call.seconds for call in self.calls)
        return seconds[math.ceil(part * len(seconds)) - 1]

    @property
    def wait(self) -> float:
        """The longest wait in any of the processes."""
        return max(longest_wait(done.calls) for done in self.done)


def longest_wait(calls: Sequence[Call]) -> float:
    """The longest wait of a call of one process, as a multiple of the line in front of it.

    The line consists of the calls that began earlier and have not ended yet, and the call itself. The wait is the
    number of calls that end meanwhile, divided by the length of the line: 1 is the order of arrival, and 2 means that
    as many calls overtook it as were in the line. It does not depend on how much time the calls take.
    """
    served = sorted(call.ended for call in calls if call.failure is None)
    in_front: list[float] = []
    worst = 0.0
    for call in sorted(calls, key=lambda call: call.begun):
        in_front = [ended for ended in in_front if ended > call.begun]
        meanwhile = bisect_left(served, call.ended) - bisect_right(served, call.begun)
        worst = max(worst, (meanwhile + 1) / (len(in_front) + 1))
        in_front.append(call.ended)
    return worst


async def measure(choice: Choice) -> Results:
    """Run the chosen measurements."""
    results = Results()
    processes = max(shape.processes for shape in (*choice.shapes, WRITERS))
    async with embedded_server() as uri, Community.connect(uri) as community:
        await community.gamification_config.install_defaults()
        await community.levels.install_defaults()
        users = await _users(community, round(choice.seconds * USERS_EACH_SECOND))
        async with Crowd.started(uri, users, processes) as crowd:
            for name in choice.rows:
                if name == RENAMING:
                    results.rows[name] = await _beside(community, crowd, choice)
                elif (why := missing(name)) is not None:
                    results.left_out[name] = why
                    print(f"  {name}: left out, {why}", flush=True)
                else:
                    results.rows[name] = await _compared(community, crowd, name, choice)
    return results


async def _users(community: Community, number: int) -> list[UserId]:
    rows: list[Row] = [{"_id": ObjectId(), **user()} for _ in range(number)]
    await community.database.users.insert_many(rows, ordered=False)
    return [UserId(row["_id"]) for row in rows]


async def _compared(community: Community, crowd: Crowd, name: str, choice: Choice) -> dict[Shape, Measured]:
    """Measure the work in all shapes, with a new hot document for each round."""
    shapes = [LONE, *(shape for shape in choice.shapes if shape != LONE)]
    rounds: dict[Shape, list[_Round]] = {shape: [] for shape in shapes}
    # Warm up.
    await crowd.work(name, await WORKS[name].prepare(community), LONE, choice.seconds / 4)
    for number in range(choice.rounds):
        # Each shape begins a round as often as the others.
        turn = number % len(shapes)
        for shape in shapes[turn:] + shapes[:turn]:
            hot = await WORKS[name].prepare(community)
            rounds[shape].append(_Round(await crowd.work(name, hot, shape, choice.seconds), choice.seconds))
    return {shape: _shown(name, shape, _measured(found, rounds[LONE])) for shape, found in rounds.items()}


async def _beside(community: Community, crowd: Crowd, choice: Choice) -> dict[Shape, Measured]:
    """Measure writing as a user who is being renamed, compared with the same writing without renames."""
    hot, seconds = await BESIDE[RENAMING].prepare(community), choice.seconds * RENAMING_TIMES
    rounds: dict[str, list[_Round]] = {WRITING: [], RENAMING: []}
    for number in range(choice.rounds):
        for name in (WRITING, RENAMING) if number % 2 else (RENAMING, WRITING):
            rounds[name].append(_Round(await crowd.work(name, hot, WRITERS, seconds), seconds))
    return {WRITERS: _shown(RENAMING, WRITERS, _measured(rounds[RENAMING], rounds[WRITING]))}


def _measured(found: Sequence[_Round], lone: Sequence[_Round]) -> Measured:
    medians = [base.quantile(0.5) for base in lone]
    pairs = list(zip(found, medians, strict=True))
    calls = [call for each in found for call in each.calls]
    return Measured(
        each_second=statistics.median(each.each_second for each in found),
        ratio=statistics.median(
            # At least one call, in case even the base completes none.
            each.each_second / max(base.each_second, 1 / base.seconds)
            for each, base in zip(found, lone, strict=True)
        ),
        p50=statistics.median(each.quantile(0.5) / median for each, median in pairs),
        p99=statistics.median(each.quantile(0.99) / median for each, median in pairs),
        calls=len(calls),
        failures=Counter(call.failure for call in calls if call.failure is not None),
        wait=statistics.median(each.wait for each in found),
        beside=sum(done.beside for each in found for done in each.done),
    )


def _shown(name: str, shape: Shape, measured: Measured) -> Measured:
    failures = ", ".join(f"{number} {failure}" for failure, number in measured.failures.items())
    print(
        f"  {name:<34} {shape!s:>6} {measured.each_second:8,.1f}/s  ratio {measured.ratio:6.2f}"
        f"  p50 {measured.p50:6.1f}  p99 {measured.p99:7.1f}"
        + f"  wait {measured.wait:.1f}" * (shape.tasks > 1)
        + f"  beside {measured.beside}" * (name == RENAMING)
        + f"  of {measured.calls} failed: {failures}" * bool(failures),
        flush=True,
    )
    return measured


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that `chosen` reads."""
    usual = Choice()
    group = parser.add_argument_group("contention", "a part of the rows or shapes is only printed")
    group.add_argument("--rows", type=_rows, default=usual.rows, help=f"some of: {','.join(usual.rows)}")
    group.add_argument("--shapes", type=_shapes, default=usual.shapes, help="processes x tasks, like 1x8,8x1")
    group.add_argument("--seconds", type=float, default=usual.seconds, help="length of a round (%(default)s)")
    group.add_argument("--rounds", type=int, default=usual.rounds, help="rounds of each shape (%(default)s)")


def chosen(options: argparse.Namespace) -> Choice:
    """Return the choice that the options describe."""
    return Choice(options.rows, options.shapes, options.seconds, options.rounds)


def _rows(text: str) -> list[str]:
    names = text.split(",")
    for name in names:
        if name not in Choice().rows:
            raise argparse.ArgumentTypeError(f"unknown row {name!r}; the rows are {', '.join(Choice().rows)}")
    return names


def _shapes(text: str) -> list[Shape]:
    try:
        return [Shape.parsed(part) for part in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError("a shape is processes x tasks, like 4x8") from None
