"""How a transaction ends where its own end fails."""

import asyncio
from typing import Any

import pytest

from datalayer import Community
from datalayer.engine import transactions
from tests.faults.stage import Stage


@pytest.fixture
def community(stage: Stage) -> Community:
    """The community whose commands meet faults."""
    return stage.world.c


ENDINGS = ["abortTransaction", "find", "commitTransaction"]
"""What is sent to undo a transaction."""

STORMS: list[dict[str, Any]] = [{"closeConnection": True}, {"errorCode": 11601}, {"errorCode": 189}]


@pytest.mark.parametrize("times", [1, 2, 3, 6])
@pytest.mark.parametrize("storm", STORMS, ids=str)
async def test_undoing_goes_on_in_a_storm(
    stage: Stage, community: Community, storm: dict[str, Any], times: int
) -> None:
    """Until the server confirms it: an open transaction would keep its documents locked."""

    async def work() -> None:
        await community.users.update_profile(stage.world.author, bio="Undone")
        stage.injector._fail({"times": times}, failCommands=ENDINGS, **storm)
        raise LookupError

    with stage.injector.action(lambda _: None, 100, "on its way"), pytest.raises(LookupError):
        await community.transaction(work)
    await stage.rest()
    assert not list(stage.leaks())
    assert (await community.users.get(stage.world.author)).bio != "Undone"


@pytest.mark.parametrize("storm", STORMS, ids=str)
async def test_an_error_of_the_work_is_not_replaced_by_one_of_its_end(
    stage: Stage, community: Community, storm: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the server is gone for the time that is given to undoing."""
    monkeypatch.setattr(transactions, "LAST_SECONDS", 0.3)

    async def work() -> None:
        await community.users.update_profile(stage.world.author, bio="Undone")
        stage.injector._fail("alwaysOn", failCommands=ENDINGS, **storm)
        raise LookupError

    with stage.injector.action(lambda _: None, 100, "on its way"), pytest.raises(LookupError):
        await community.transaction(work)
    stage.clean_up()


@pytest.mark.parametrize("commit", [1, 3], ids=["transaction", "group commit"])
async def test_a_failed_end_whose_caller_is_gone_is_not_reported(
    stage: Stage, community: Community, commit: int
) -> None:
    """Asyncio would log "Task exception was never retrieved": the caller was cancelled, and asks no more."""
    tasks: list[asyncio.Task[Any]] = []
    loop = asyncio.get_running_loop()

    def made(_loop: asyncio.AbstractEventLoop, work: Any, **options: Any) -> asyncio.Task[Any]:
        tasks.append(asyncio.Task(work, loop=loop, **options))
        return tasks[-1]

    async def call() -> object:
        if commit == 1:
            return await community.transaction(lambda: community.users.update_profile(stage.world.author, bio="x"))
        return await community.likes.toggle(stage.world.informed, "post", stage.world.post)

    def spoil(command: str) -> None:
        assert command == "commitTransaction"
        stage.injector._fail({"times": 1}, failCommands=[command], errorCode=13)
        caller.cancel()

    loop.set_task_factory(made)
    try:
        caller = asyncio.create_task(call())
        with stage.injector.action(spoil, commit, "on its way"):
            await asyncio.wait([caller])
            await stage.rest()
    finally:
        loop.set_task_factory(None)
    assert caller.cancelled()
    # What asyncio itself looks at when it drops a task.
    assert not [task for task in tasks if getattr(task, "_log_traceback")]  # noqa: B009
    assert not list(stage.leaks())
    for table in ("users", "likes", "posts"):
        await stage.world.put_back(table)
