"""What is tried with a call, and what should not come of it."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any, TypeVar

from datalayer.errors import DataLayerError, OutcomeUnknownError, UnavailableError
from tests.faults.injecting import FAULTS, Fault, Moment
from tests.faults.stage import Scene, Stage

T = TypeVar("T")

MOMENTS: tuple[Moment, ...] = ("received", "on its way", "answered")


def faults_of(scene: Scene, choose: Callable[[Sequence[Fault]], Sequence[Fault]]) -> Iterator[tuple[int, Fault]]:
    """Each command of the call by its number, with those that are chosen of the faults that it can meet."""
    for at, command in enumerate(scene.commands):
        for fault in choose([fault for fault in FAULTS if fault.at(command)]):
            yield at, fault


async def spoiled(stage: Stage, scene: Scene, at: int, fault: Fault) -> list[str]:
    """Let the call meet the fault."""
    with stage.injector.fault(fault, at):
        outcome = await scene.outcome()
    found = [*outcome.faults(scene.usual), *stage.leaks()]
    # A commit also confirms what a method has found, and so may be unconfirmed without a write.
    only_reads = not scene.is_writing and all(command.name != "commitTransaction" for command in scene.commands)
    if only_reads and isinstance(outcome.error, OutcomeUnknownError):
        found.append("it says that what happened is unknown, and it only reads")
    return [f"{fault.name} at {at}: {said}" for said in found]


async def cancelled(stage: Stage, scene: Scene, at: int, moment: Moment) -> list[str]:
    """Cancel the call when that command is there."""

    async def around(running: Awaitable[T]) -> T:
        task = asyncio.ensure_future(running)
        with stage.injector.action(lambda _: task.cancel(), at, moment):
            return await task

    return await _cancelled(stage, scene, around, f"{moment} at {at}")


async def cancelled_after(stage: Stage, scene: Scene, seconds: float) -> list[str]:
    """Cancel the call after some time."""

    async def around(running: Awaitable[T]) -> T:
        task = asyncio.ensure_future(running)
        asyncio.get_running_loop().call_later(seconds, task.cancel)
        return await task

    return await _cancelled(stage, scene, around, f"after {1000 * seconds} ms")


async def timed_out(stage: Stage, scene: Scene, at: int, moment: Moment, *, caught: bool) -> list[str]:
    """Let the time be up for the call inside a transaction when that command is there.

    The work catches that and goes on as if nothing had happened, or lets it leave.
    """
    times_out = False

    async def around(running: Awaitable[T]) -> T | None:
        async def work() -> T | None:
            nonlocal times_out
            try:
                async with asyncio.timeout(None) as limit:
                    with stage.injector.action(lambda _: limit.reschedule(0), at, moment):
                        return await running
            except TimeoutError:
                times_out = True
                if not caught:
                    raise
                return None

        try:
            return await stage.world.c.transaction(work)
        except TimeoutError as error:
            raise DataLayerError from error

    outcome = await scene.outcome(around)
    found = list(stage.leaks())
    if times_out and outcome.changes:
        found.append(f"half of it: {outcome.changes}")
    if times_out and (isinstance(outcome.error, UnavailableError) or not isinstance(outcome.error, DataLayerError)):
        found.append(f"{outcome.error!r}")
    return [f"timed out {moment} at {at}: {said}" for said in found]


async def _cancelled(
    stage: Stage, scene: Scene, around: Callable[[Awaitable[Any]], Awaitable[Any]], when: str
) -> list[str]:
    outcome = await scene.outcome(around)
    return [f"{when}: {said}" for said in (*outcome.faults(scene.usual), *stage.leaks())]
