"""Two ways of doing the same work, measured in turn: the ratio says which is faster, whatever else the machine does."""

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable, Mapping

Work = Callable[[], Awaitable[object]]

ROUNDS = 25


async def seconds(work: Work, *, tasks: int, times: int) -> float:
    """How long it takes `tasks` tasks to do the work `times` times each."""

    async def task() -> None:
        for _ in range(times):
            await work()

    start = time.perf_counter()
    await asyncio.gather(*(task() for _ in range(tasks)))
    return time.perf_counter() - start


async def ratios(ways: Mapping[str, Work], *, tasks: int, times: int) -> dict[str, float]:
    """For each way the median of its paired ratios to the first one."""
    measured: dict[str, list[float]] = {name: [] for name in ways}
    names = list(ways)
    for work in ways.values():
        await seconds(work, tasks=tasks, times=times)
    for number in range(ROUNDS):
        # Each way begins a round as often as the others.
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            measured[name].append(await seconds(ways[name], tasks=tasks, times=times))
    first = measured[names[0]]
    return {
        name: statistics.median(own / base for own, base in zip(times_, first, strict=True))
        for name, times_ in measured.items()
    }
