"""The trials see what they should: calls that are wrong are told from those that are right."""

from contextlib import suppress
from typing import Any

import pytest

from datalayer.engine.ids import new_object_id
from datalayer.errors import UnavailableError
from tests.faults.injecting import FAULTS, LOST_REPLY
from tests.faults.stage import Stage
from tests.faults.trials import cancelled, spoiled
from tests.plans.calls import Call
from tests.plans.world import World

CLOSED = FAULTS[2]


def _level(number: int) -> dict[str, Any]:
    return {"_id": new_object_id(), "name": "x", "order": number, "threshold": number}


async def _two_writes(world: World) -> None:
    levels = world.c.database["levels"]
    await levels.insert_one(_level(101))
    await levels.update_many({"order": 101}, {"$set": {"name": "y"}})


async def _half(world: World) -> None:
    try:
        await _two_writes(world)
    except Exception as error:
        raise UnavailableError from error


async def _pretending(world: World) -> None:
    with suppress(Exception):
        await world.c.database["levels"].update_many({"order": 1}, {"$set": {"name": "y"}})


async def _leaking(world: World) -> None:
    session = world.c.database.client.start_session()
    await session.start_transaction()
    await world.c.database["levels"].insert_one(_level(102), session=session)
    await session.commit_transaction()
    await session.end_session()


async def _tried(stage: Stage, run: Any) -> str:
    async with stage.prepared(Call("levels.wrong", run)) as scene:
        await scene.rehearse()
        found = [
            *await spoiled(stage, scene, len(scene.commands) - 1, CLOSED),
            *await cancelled(stage, scene, 0, "answered"),
        ]
    stage.clean_up()
    return " ".join(found)


@pytest.mark.parametrize(
    ("run", "said"),
    [
        (_half, "half of it"),
        (_pretending, "it says that it has happened, and it has not"),
        (_leaking, "a session that has not ended"),
    ],
)
async def test_what_is_wrong_is_seen(stage: Stage, run: Any, said: str) -> None:
    assert said in await _tried(stage, run)


async def test_a_lost_reply_is_lost(stage: Stage) -> None:
    """The server has done it, and who says that nothing has happened is wrong."""

    async def untrue(world: World) -> None:
        try:
            await world.c.database["levels"].update_many({"order": 1}, {"$set": {"name": "y"}})
        except Exception as error:
            raise UnavailableError from error

    async with stage.prepared(Call("levels.wrong", untrue)) as scene:
        await scene.rehearse()
        (said,) = await spoiled(stage, scene, 0, LOST_REPLY)
        assert "it says that nothing has happened, and it has" in said
