"""Every method, with every fault at each of its commands, and cancelled at every moment."""

from collections.abc import AsyncIterator
from random import Random
from time import perf_counter

import pytest

from datalayer.engine import connection, transactions
from datalayer.errors import UnavailableError
from tests.faults.stage import Stage, staged
from tests.faults.trials import MOMENTS, cancelled, cancelled_after, faults_of, spoiled
from tests.plans.calls import Call
from tests.plans.registry import CALLS

EVERY_CALL = [call for calls in CALLS.values() for call in calls]
SOME_TIMES = 5


@pytest.fixture(scope="session")
async def stage() -> AsyncIterator[Stage]:
    """A world to spoil."""
    async with staged() as stage:
        yield stage


@pytest.mark.parametrize("call", EVERY_CALL, ids=str)
async def test_every_fault_at_each_command(stage: Stage, call: Call) -> None:
    async with stage.prepared(call) as scene:
        await scene.rehearse()
        found = []
        for at, fault in faults_of(scene, lambda faults: faults):
            found += await spoiled(stage, scene, at, fault)
        assert not found


@pytest.mark.parametrize("call", EVERY_CALL, ids=str)
async def test_every_cancellation_at_each_command(stage: Stage, call: Call) -> None:
    async with stage.prepared(call) as scene:
        await scene.rehearse()
        found = []
        for at, _ in enumerate(scene.commands):
            for moment in MOMENTS:
                found += await cancelled(stage, scene, at, moment)
        assert not found


@pytest.mark.parametrize("call", EVERY_CALL, ids=str)
async def test_a_cancellation_at_any_await(stage: Stage, call: Call) -> None:
    """After some random part of the time that the call takes."""
    random = Random(str(call))  # noqa: S311
    async with stage.prepared(call) as scene:
        await scene.rehearse()
        start = perf_counter()
        await scene.outcome()
        took = perf_counter() - start
        found = []
        for _ in range(SOME_TIMES):
            found += await cancelled_after(stage, scene, random.random() * took)
        assert not found


@pytest.mark.parametrize("call", EVERY_CALL, ids=str)
async def test_a_server_that_is_gone_for_good(stage: Stage, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """From some command on nobody answers: it is known that nothing has happened, or unknown what has."""
    for module in (connection, transactions):
        monkeypatch.setattr(module, "TRANSACTION_SECONDS", 0.2)
    monkeypatch.setattr(transactions, "LAST_SECONDS", 0.2)
    async with stage.prepared(call) as scene:
        await scene.rehearse()
        if not scene.commands:
            return
        with stage.injector.gone(Random(str(call)).randrange(len(scene.commands))):  # noqa: S311
            outcome = await scene.outcome()
        stage.clean_up()
        assert isinstance(outcome.error, UnavailableError)
        assert not list(outcome.faults(scene.usual))
