"""Every method that writes, with a fault at each command that it sends: once and whole, or nothing."""

import pytest

from tests.faults.injecting import FAULTS
from tests.faults.stage import Stage
from tests.plans.calls import Call
from tests.plans.registry import CALLS

ALL = [call for calls in CALLS.values() for call in calls]


@pytest.mark.parametrize("call", ALL, ids=str)
async def test_a_fault(stage: Stage, call: Call) -> None:
    async with stage.prepared(call) as scene:
        await scene.rehearse()
        if not scene.is_writing:
            return
        found = []
        for at, command in enumerate(scene.commands):
            for fault in FAULTS:
                if fault.at(command):
                    with stage.injector.injected(fault, at):
                        outcome = await scene.outcome()
                    found += [f"{fault.name} at {at}: {said}" for said in outcome.faults(scene.usual)]
                    if stage.open_transactions():
                        stage.end_transactions()
                        found += [f"{fault.name} at {at}: a transaction was left open"]
        assert not found
