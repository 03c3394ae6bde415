"""Measures several ways of doing the same work alternately, so the ratios do not depend on other load."""

import asyncio
import gc
import statistics
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

Work = Callable[[], Awaitable[object]]

ROUNDS = 25


@dataclass(frozen=True, slots=True)
class Measured:
    """The time that one way took.

    Attributes:
        milliseconds: The median time for doing the work once.
        ratio: The median of the paired ratios to the first way.
    """

    milliseconds: float
    ratio: float


async def seconds(work: Work, *, tasks: int, times: int) -> float:
    """Return the seconds that `tasks` tasks take to do the work `times` times each."""

    async def task() -> None:
        for _ in range(times):
            await work()

    start = time.perf_counter()
    await asyncio.gather(*(task() for _ in range(tasks)))
    return time.perf_counter() - start


async def compared(
    ways: Mapping[str, Callable[[], Awaitable[float]]], *, rounds: int = ROUNDS, per: int = 1
) -> dict[str, Measured]:
    """Run the ways alternately. Each returns the seconds that it took to do the work `per` times."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    names = list(ways)
    for way in ways.values():
        await way()
    for number in range(rounds):
        # Each way begins a round equally often.
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            # Collect garbage first, so that no way pays for another one.
            gc.collect()
            times[name].append(await ways[name]())
    first = times[names[0]]
    return {
        name: Measured(
            statistics.median(own) * 1_000 / per,
            statistics.median(mine / base for mine, base in zip(own, first, strict=True)),
        )
        for name, own in times.items()
    }


async def paired(ways: Mapping[str, Work], *, tasks: int, times: int, rounds: int = ROUNDS) -> dict[str, Measured]:
    """Run the ways alternately, each with this many concurrent tasks and repetitions."""

    def timed(work: Work) -> Callable[[], Awaitable[float]]:
        return lambda: seconds(work, tasks=tasks, times=times)

    return await compared({name: timed(work) for name, work in ways.items()}, rounds=rounds, per=tasks * times)
