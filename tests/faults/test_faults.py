"""Every method, with something that goes wrong in between: it happens once and whole, or not at all.

The examples of a method, its commands, the faults and the moments take turns: one meets another. A thorough run has a
fault for each command of every example; `make soak` tries each fault with each command.
"""

from itertools import count

import pytest

from tests.faults.injecting import writes
from tests.faults.stage import Stage
from tests.faults.trials import MOMENTS, cancelled, faults_of, spoiled, timed_out
from tests.plans.calls import Call
from tests.plans.registry import CALLS, about

EVERY_CALL = [call for calls in CALLS.values() for call in calls]
ONE_OF_EACH = [calls[turn % len(calls)] for turn, calls in enumerate(CALLS.values())]
TRIALS = [
    about(call.method, turn, call, id=str(call), thorough=call not in ONE_OF_EACH)
    for turn, call in enumerate(EVERY_CALL)
]


@pytest.mark.parametrize(("turn", "call"), TRIALS)
async def test_something_goes_wrong_in_between(stage: Stage, turn: int, call: Call, thorough: bool) -> None:
    """What is raised says whether it has happened, or that this is unknown; nothing is left open on the server."""
    turns = count(turn)
    async with stage.prepared(call) as scene:
        await scene.rehearse()
        found = []
        for at, fault in faults_of(scene, lambda faults: [faults[next(turns) % len(faults)]]):
            if thorough or at == turn % len(scene.commands):
                found += await spoiled(stage, scene, at, fault)
        if scene.commands:
            found += await cancelled(stage, scene, turn % len(scene.commands), MOMENTS[turn % len(MOMENTS)])
        assert not found


@pytest.mark.parametrize(("turn", "call"), TRIALS)
@pytest.mark.share(2)
async def test_the_time_is_up_inside_a_transaction(stage: Stage, turn: int, call: Call) -> None:
    """Half of a method is never committed, whether the work catches the TimeoutError or not; nothing is left open."""
    async with stage.prepared(call) as scene:
        await scene.rehearse()
        if scene.is_writing:
            writing = [at for at, command in enumerate(scene.commands) if writes(command)]
            for caught in (True, False):
                found = await timed_out(
                    stage, scene, writing[turn % len(writing)], MOMENTS[turn % len(MOMENTS)], caught=caught
                )
                assert not found
