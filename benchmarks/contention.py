"""Many who do the same to one hot document, in several processes: each shape against one task alone, in turn.

The rounds of all shapes of a work are interleaved. A round ends when its time is over: what has not finished a few
seconds later has failed.
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
"""How much longer the rounds are in which somebody with many posts is renamed: that takes seconds."""

USERS_EACH_SECOND = 24_000
"""Nobody does the same twice in a round, and this is more than one comes to."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What is measured, and how long.

    Attributes:
        rows: The names of works; where the renaming is not among them, it is left out.
        shapes: The shapes that are compared with one task alone.
        seconds: How long a round is.
        rounds: How many rounds there are of each shape.
    """

    rows: Sequence[str] = (*WORKS, RENAMING)
    shapes: Sequence[Shape] = SHAPES
    seconds: float = 1.0
    rounds: int = 5

    @property
    def is_whole(self) -> bool:
        """Whether there is nothing of the table that it leaves out."""
        return set(self.rows) == {*WORKS, RENAMING} and set(self.shapes) == set(SHAPES)


@dataclass(frozen=True, slots=True)
class Measured:
    """A shape of a work. What is not said to be of all rounds is the median of the rounds.

    Attributes:
        each_second: Acknowledged calls.
        ratio: Of these to those of one task alone, in the same round.
        p50: Of a call, as a multiple of the lone median.
        p99: The same.
        calls: How many there were in all rounds.
        failures: Those of them that failed, by the name of the error.
        wait: The longest wait of a call, as a multiple of the line in front of it in its process.
        beside: How often the task beside them was done, in all rounds.
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
    """By name: what was measured, in the order of the shapes, and why something is left out."""

    rows: dict[str, dict[Shape, Measured]] = field(default_factory=dict[str, dict[Shape, Measured]])
    left_out: dict[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class _Round:
    """What the processes of a shape have done in a round."""

    done: Sequence[Done]
    seconds: float

    @property
    def calls(self) -> list[Call]:
        return list(chain.from_iterable(done.calls for done in self.done))

    @property
    def each_second(self) -> float:
        """Of what was done in time; what is done in the grace behind it is not counted."""
        return sum(call.failure is None and call.ended <= self.seconds for call in self.calls) / self.seconds

    def quantile(self, part: float) -> float:
        """The seconds that this part of the calls takes at most; a call that fails takes as long as that took."""
        seconds = sorted(call.seconds for call in self.calls)
        return seconds[math.ceil(part * len(seconds)) - 1]

    @property
    def wait(self) -> float:
        """The longest wait in any of the processes."""
        return max(longest_wait(done.calls) for done in self.done)


def longest_wait(calls: Sequence[Call]) -> float:
    """How many calls end while one waits, for each that is in front of it and itself; the most of all calls.

    In front of a call are those that began earlier and had not ended when it began. In the order of arrival they end
    and then it does, which is 1. Who is overtaken by others has more; 2 is a wait of twice the line.
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
    """Every work that is chosen."""
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
    """The work in all shapes, each time to a new hot document."""
    shapes = [LONE, *(shape for shape in choice.shapes if shape != LONE)]
    rounds: dict[Shape, list[_Round]] = {shape: [] for shape in shapes}
    # What has never been done is slow.
    await crowd.work(name, await WORKS[name].prepare(community), LONE, choice.seconds / 4)
    for number in range(choice.rounds):
        # Each shape begins a round as often as the others.
        turn = number % len(shapes)
        for shape in shapes[turn:] + shapes[:turn]:
            hot = await WORKS[name].prepare(community)
            rounds[shape].append(_Round(await crowd.work(name, hot, shape, choice.seconds), choice.seconds))
    return {shape: _shown(name, shape, _measured(found, rounds[LONE])) for shape, found in rounds.items()}


async def _beside(community: Community, crowd: Crowd, choice: Choice) -> dict[Shape, Measured]:
    """Writing as somebody who is being renamed: the ratios are to the same writing without that."""
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
            each.each_second / max(base.each_second, 1 / base.seconds) for each, base in zip(found, lone, strict=True)
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
    """Add what `chosen` reads."""
    usual = Choice()
    group = parser.add_argument_group("contention", "a part of the rows or shapes is printed, and not written down")
    group.add_argument("--rows", type=_rows, default=usual.rows, help=f"some of: {','.join(usual.rows)}")
    group.add_argument("--shapes", type=_shapes, default=usual.shapes, help="processes x tasks, like 1x8,8x1")
    group.add_argument("--seconds", type=float, default=usual.seconds, help="how long a round is (%(default)s)")
    group.add_argument("--rounds", type=int, default=usual.rounds, help="how many of each shape (%(default)s)")


def chosen(options: argparse.Namespace) -> Choice:
    """What the options say."""
    return Choice(options.rows, options.shapes, options.seconds, options.rounds)


def _rows(text: str) -> list[str]:
    names = text.split(",")
    for name in names:
        if name not in Choice().rows:
            raise argparse.ArgumentTypeError(f"there is no row {name!r}; the rows are {', '.join(Choice().rows)}")
    return names


def _shapes(text: str) -> list[Shape]:
    try:
        return [Shape.parsed(part) for part in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError("a shape is processes x tasks, like 4x8") from None
