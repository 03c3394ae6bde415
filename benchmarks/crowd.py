"""Processes that do the same work at once, each with a client of its own; they wait for each other before they begin."""

import asyncio
import gc
import time
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.context import SpawnProcess
from multiprocessing.connection import Connection
from typing import Any

from benchmarks.hot import BESIDE, WORKS, Work
from datalayer import Community
from datalayer.errors import DataLayerError
from datalayer.ids import UserId

GRACE = 3.0
"""Seconds that a call may take after the end of its round; then it has failed."""

PATIENCE = 60.0
"""Seconds after which a process that does not answer is taken for dead."""

UNFINISHED = "unfinished"

_READY, _GO = "ready", "go"


@dataclass(frozen=True, slots=True)
class Shape:
    """How many processes, and how many tasks in each of them."""

    processes: int
    tasks: int

    def __str__(self) -> str:
        return f"{self.processes}x{self.tasks}"

    @classmethod
    def parsed(cls, text: str) -> "Shape":
        """The shape that is written like `4x8`."""
        processes, _, tasks = text.partition("x")
        return cls(int(processes), int(tasks))


@dataclass(frozen=True, slots=True)
class Call:
    """A call, by the seconds since its round began.

    Attributes:
        failure: What it raised, by name, or `UNFINISHED`; `None` where it was acknowledged.
    """

    begun: float
    ended: float
    failure: str | None

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.ended - self.begun


@dataclass(slots=True)
class Done:
    """What a process has done in a round.

    Attributes:
        calls: In the order in which they ended.
        beside: How often the other task did what it does.
    """

    calls: list[Call] = field(default_factory=list[Call])
    beside: int = 0


@dataclass(frozen=True, slots=True)
class _Order:
    """What a process is to do in a round."""

    work: str
    hot: Any
    tasks: int
    seconds: float


class Crowd:
    """The processes, which stay the same for all rounds."""

    def __init__(self, pipes: Sequence["Connection[Any, Any]"]) -> None:
        self._pipes = pipes

    @classmethod
    @asynccontextmanager
    async def started(cls, uri: str, users: Sequence[UserId], processes: int) -> AsyncGenerator["Crowd"]:
        """Start so many processes, each with its part of the users; they are killed at the end of the block."""
        context = get_context("spawn")
        pipes: list[Connection[Any, Any]] = []
        children: list[SpawnProcess] = []
        each = len(users) // processes
        try:
            for number in range(processes):
                ours, theirs = context.Pipe()
                part = users[number * each : (number + 1) * each]
                children.append(context.Process(target=_main, args=(uri, part, theirs), daemon=True))
                children[-1].start()
                theirs.close()
                pipes.append(ours)
            yield cls(pipes)
        finally:
            for child in children:
                child.kill()
            for child in children:
                child.join()

    async def work(self, name: str, hot: object, shape: Shape, seconds: float) -> list[Done]:
        """Do the work of this name in this shape for so many seconds."""
        pipes = self._pipes[: shape.processes]
        order = _Order(name, hot, shape.tasks, seconds)
        for message in (order, _GO):
            for pipe in pipes:
                pipe.send(message)
            answers = [await asyncio.to_thread(_answer, pipe, seconds) for pipe in pipes]
        return answers


def _answer(pipe: "Connection[Any, Any]", seconds: float) -> Any:  # noqa: ANN401
    if not pipe.poll(seconds + PATIENCE):
        raise TimeoutError("a process does not answer")
    return pipe.recv()


def _main(uri: str, users: Sequence[UserId], pipe: "Connection[Any, Any]") -> None:
    """What a process runs."""
    asyncio.run(_serve(uri, users, pipe))


async def _serve(uri: str, users: Sequence[UserId], pipe: "Connection[Any, Any]") -> None:
    async with Community.connect(uri, schema="skip") as community:
        while True:
            order: _Order = await asyncio.to_thread(pipe.recv)
            # The connections that the tasks need are open before the clock runs.
            await asyncio.gather(*(community.users.get(users[0]) for _ in range(order.tasks)))
            gc.collect()
            pipe.send(_READY)
            await asyncio.to_thread(pipe.recv)
            pipe.send(await _round(community, order, iter(users)))


async def _round(community: Community, order: _Order, users: Iterator[UserId]) -> Done:
    work: Work[Any] = (WORKS | BESIDE)[order.work]
    done, start = Done(), time.perf_counter()

    def now() -> float:
        return time.perf_counter() - start

    async def call() -> None:
        user, begun, failure = next(users), now(), UNFINISHED
        try:
            await work.call(community, order.hot, user)
            failure = None
        except DataLayerError as error:
            failure = type(error).__name__
        finally:
            done.calls.append(Call(begun, now(), failure))

    async def task() -> None:
        while now() < order.seconds:
            await call()

    async def beside() -> None:
        while work.beside is not None:
            try:
                await work.beside(community, order.hot)
                done.beside += 1
            except DataLayerError as error:
                print(f"  beside: {type(error).__name__}", flush=True)

    other = asyncio.create_task(beside())
    tasks = [asyncio.create_task(task()) for _ in range(order.tasks)]
    await asyncio.wait(tasks, timeout=order.seconds + GRACE)
    for one in (*tasks, other):
        one.cancel()
    ended = await asyncio.gather(*tasks, other, return_exceptions=True)
    for result in ended:
        # Cancelled is who did not finish in time; anything else is a mistake of this benchmark.
        if isinstance(result, Exception):
            raise result
    return done
