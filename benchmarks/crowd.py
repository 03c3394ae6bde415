"""Processes that do the same work concurrently, each with its own client. A barrier lets them start together."""

import asyncio
import gc
import time
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import cycle
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import Any

from benchmarks.hot import BESIDE, WORKS, Work
from datalayer import Community
from datalayer.errors import DataLayerError
from datalayer.ids import UserId

GRACE = 6.0
"""Seconds after the end of a round until a call that has not finished is cancelled, and counts as failed.

A line of 128 composed calls, each after the other, may take most of it on a slow machine.
"""

PATIENCE = 60.0
"""Seconds, besides the round itself, until a process that does not answer is an error."""

UNFINISHED = "unfinished"

_READY, _GO = "ready", "go"


@dataclass(frozen=True, slots=True)
class Shape:
    """The number of processes, and of tasks in each process."""

    processes: int
    tasks: int

    def __str__(self) -> str:
        return f"{self.processes}x{self.tasks}"

    @classmethod
    def parsed(cls, text: str) -> "Shape":
        """Parse a shape like `4x8`."""
        processes, _, tasks = text.partition("x")
        return cls(int(processes), int(tasks))


@dataclass(frozen=True, slots=True)
class Call:
    """One call, in seconds since its round began.

    Attributes:
        begun: When it began.
        ended: When it returned, raised, or was cancelled.
        failure: What it raised, by name, or `UNFINISHED`; `None` if it was acknowledged.
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
    """What one process did in one round.

    Attributes:
        calls: In the order in which they ended.
        beside: How often `Work.beside` was done.
    """

    calls: list[Call] = field(default_factory=list[Call])
    beside: int = 0


@dataclass(frozen=True, slots=True)
class _Order:
    """The work of one process in one round; `number` is its number within the shape."""

    work: str
    hot: Any
    shape: Shape
    number: int
    seconds: float


class Crowd:
    """The processes, which run for all rounds."""

    def __init__(self, pipes: Sequence["Connection[Any, Any]"]) -> None:
        self._pipes = pipes

    @classmethod
    @asynccontextmanager
    async def started(cls, uri: str, users: Sequence[UserId], processes: int) -> AsyncGenerator["Crowd"]:
        """Start this many processes, and kill them at the end of the block. In each round they divide the users."""
        context = get_context("spawn")
        pipes: list[Connection[Any, Any]] = []
        children: list[SpawnProcess] = []
        try:
            for _ in range(processes):
                ours, theirs = context.Pipe()
                children.append(context.Process(target=_main, args=(uri, users, theirs), daemon=True))
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
        """Do the named work in this shape for this many seconds. Return what each process did."""
        pipes = self._pipes[: shape.processes]
        orders = [_Order(name, hot, shape, number, seconds) for number in range(shape.processes)]
        for messages in (orders, [_GO] * shape.processes):
            for pipe, message in zip(pipes, messages, strict=True):
                pipe.send(message)
            answers = [await asyncio.to_thread(_answer, pipe, seconds) for pipe in pipes]
        return answers


def _answer(pipe: "Connection[Any, Any]", seconds: float) -> Any:  # noqa: ANN401
    if not pipe.poll(seconds + PATIENCE):
        raise TimeoutError("a process does not respond")
    return pipe.recv()


def _main(uri: str, users: Sequence[UserId], pipe: "Connection[Any, Any]") -> None:
    """Run a process."""
    asyncio.run(_serve(uri, users, pipe))


async def _serve(uri: str, users: Sequence[UserId], pipe: "Connection[Any, Any]") -> None:
    async with Community.connect(uri, schema="skip") as community:
        while True:
            order: _Order = await asyncio.to_thread(pipe.recv)
            # Open the connections that the tasks need before the clock runs.
            await asyncio.gather(*(community.users.get(users[0]) for _ in range(order.shape.tasks)))
            gc.collect()
            pipe.send(_READY)
            await asyncio.to_thread(pipe.recv)
            own = users[order.number :: order.shape.processes]
            # Those rounds are longer, and their calls do not depend on the user.
            pipe.send(await _Round(community, order, cycle(own) if order.work in BESIDE else iter(own)).run())


class _Round:
    """The tasks of one process in one round."""

    def __init__(self, community: Community, order: _Order, users: Iterator[UserId]) -> None:
        self._community, self._order, self._users = community, order, users
        self._work: Work[Any] = (WORKS | BESIDE)[order.work]
        self._done, self._start = Done(), time.perf_counter()

    async def run(self) -> Done:
        """Work until the time is over, then wait `GRACE` seconds for unfinished calls."""
        tasks = [asyncio.create_task(self._task()) for _ in range(self._order.shape.tasks)]
        beside = asyncio.create_task(self._beside())
        await asyncio.wait(tasks, timeout=self._order.seconds + GRACE)
        for task in (*tasks, beside):
            task.cancel()
        for ended in await asyncio.gather(*tasks, beside, return_exceptions=True):
            # A CancelledError is a call that did not finish in time. Anything else is a bug of this benchmark.
            if isinstance(ended, Exception):
                raise ended
        return self._done

    def _now(self) -> float:
        return time.perf_counter() - self._start

    async def _task(self) -> None:
        while self._now() < self._order.seconds:
            user_id = next(self._users, None)
            if user_id is None:
                raise LookupError("there are more calls in a round than users")
            await self._call(user_id)

    async def _call(self, user_id: UserId) -> None:
        begun, failure = self._now(), UNFINISHED
        try:
            await self._work.call(self._community, self._order.hot, user_id)
            failure = None
        except DataLayerError as error:
            failure = type(error).__name__
        finally:
            self._done.calls.append(Call(begun, self._now(), failure))

    async def _beside(self) -> None:
        while self._work.beside is not None:
            with suppress(DataLayerError):
                await self._work.beside(self._community, self._order.hot)
                self._done.beside += 1
