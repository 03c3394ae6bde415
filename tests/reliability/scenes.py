"""Scenes, their numbers and their generation."""

from typing import Any

from datalayer.errors import InvalidInputError, StaleGenerationError, UnavailableError
from tests.reliability.ledger import to
from tests.reliability.worker import Operation, Thing, Worker


async def create_scene(w: Worker) -> None:
    if len(w.scenes) == 3:
        await remove_scene(w)
    marker = w.marker()
    with w.ledger.changing({("scenes", marker): to("0 draft")}):
        scene = await w.stories.scenes.create(w.pick(w.world.chapters), f"{marker} 0")
    w.scenes.append(Thing(marker, scene.id))


async def move_scene(w: Worker) -> None:
    if not w.scenes:
        await create_scene(w)
    await w.stories.scenes.move(w.pick(w.scenes).id, w.random.randrange(1, 6))


async def remove_scene(w: Worker) -> None:
    if not w.scenes:
        await create_scene(w)
    scene = w.scenes.popleft()
    with w.ledger.changing({("scenes", scene.marker): to(None)}):
        await w.stories.scenes.delete(scene.id)


async def generate(w: Worker) -> None:
    if not w.scenes:
        await create_scene(w)
    # Not picked again where the outcome is unknown: then nobody has the token of the run.
    scene = w.scenes.popleft()
    register = ("scenes", scene.marker)
    with w.ledger.changing({register: to("0 generating")}):
        ticket = await w.stories.scenes.request_generation(scene.id)
    with w.ledger.changing({register: to("0 complete")}):
        await _hand_in(w, ticket.token)
    w.scenes.append(scene)


async def _hand_in(w: Worker, token: Any) -> None:
    """As `complete_generation` says: where the outcome is unknown it is called again, and may have succeeded."""
    unknown = False
    while True:
        try:
            await w.stories.scenes.complete_generation(token, "Prose.")
        except UnavailableError:
            unknown = True
            continue
        except StaleGenerationError:
            assert unknown
        return


OPERATIONS = (
    Operation(create_scene, 4),
    Operation(move_scene, 2, (InvalidInputError,)),
    Operation(remove_scene, 2),
    Operation(generate, 3),
)
