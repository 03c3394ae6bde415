"""How a scene's prose is generated: a run asks for the scene, and hands in what it wrote, or why it could not."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bson import ObjectId
from pymongo import ReturnDocument

from datalayer.documents.fields import Body, Count, Note
from datalayer.documents.scenes import Outline, Scene
from datalayer.errors import AlreadyGeneratingError, StaleGenerationError
from datalayer.ids import GenerationToken, SceneId
from datalayer.repositories.base import Repository, not_found


@dataclass(frozen=True, slots=True)
class GenerationTicket:
    """The permission to generate a scene.

    Attributes:
        scene: The scene with the outline to write by; `prose` is that of the run before, if there is one.
        token: What proves that the result is this run's. It is good for one result, until the run is released.
    """

    scene: Scene
    token: GenerationToken


class GenerationRepository(Repository[Scene, SceneId]):
    """The runs of the generation. A scene has one at most, and its token is the only proof of it.

    Each step is one conditional update, so of many at once one succeeds. A run that died keeps its scene until
    `release_stale`; the scene may be edited or moved meanwhile, and the run still completes it.
    """

    document = Scene

    async def request_generation(self, id: SceneId, *, outline: Outline | None = None) -> GenerationTicket:
        """Begin a run for the scene, by a new outline if one is given. One round trip, `_id`; 2 where it fails.

        The prose stays until the run hands in another; a scene that has one counts as regenerated. The error of the
        run before is forgotten. Where the outcome is unknown (`UnavailableError`) the scene may wait for a run whose
        token nobody has: `release_stale` ends that too.

        Raises:
            AlreadyGeneratingError: Another run has the scene.
            NotFoundError: There is no such scene.
        """
        token = GenerationToken(ObjectId())
        again = {"$cond": [{"$eq": [{"$type": "$prose"}, "missing"]}, 0, 1]}
        changes: dict[str, Any] = {
            "status": "generating",
            "generationToken": token,
            "generationStartedAt": self._now(),
            "regenerationCount": {"$add": ["$regenerationCount", again]},
        }
        if outline is not None:
            # In a pipeline, a text that begins with a dollar would be a field's name.
            changes["outline"] = {"$literal": outline}
        wire = await self._collection.find_one_and_update(
            {"_id": id, "status": {"$ne": "generating"}},
            [{"$set": changes}, {"$unset": "errorMessage"}],
            return_document=ReturnDocument.AFTER,
        )
        if wire is not None:
            return GenerationTicket(Scene.from_wire(wire), token)
        if await self._collection.find_one({"_id": id}, {"_id": 1}) is None:
            raise not_found(Scene, id)
        raise AlreadyGeneratingError

    async def complete_generation(self, token: GenerationToken, prose: Body) -> Scene:
        """Hand in the prose: the scene is complete. One round trip, by_generationToken.

        The token is used up. So where the outcome is unknown (`UnavailableError`), call it again: it either succeeds,
        or is stale because it had succeeded the first time, or because the run was released in between; the scene's
        prose tells which.

        Raises:
            StaleGenerationError: The run is no longer the scene's, and nothing was changed.
        """
        return await self._finish(token, {"status": "complete", "prose": prose}, errorMessage="")

    async def fail_generation(self, token: GenerationToken, error_message: Note) -> Scene:
        """Give the run up; the prose of the run before stays. One round trip, by_generationToken.

        Where the outcome is unknown, call it again, as `complete_generation`.

        Raises:
            StaleGenerationError: The run is no longer the scene's, and nothing was changed.
        """
        return await self._finish(token, {"status": "error", "errorMessage": error_message})

    async def release_stale(self, older_than_ms: Count) -> int:
        """Take the scenes away from the runs that began more than so many milliseconds ago, and say how many.

        They have failed then, and can be requested again; what their runs hand in later is refused. Time is that of
        the clocks of the processes: choose more than a run takes and clocks differ. A transaction of 2 round trips,
        by_status_and_generationStartedAt.
        """
        # `$not` instead of `$lt`: it finds what was imported without a time as well.
        stale = {"status": "generating", "generationStartedAt": {"$not": {"$gte": self._now() - older_than_ms}}}
        message = f"The run was released after more than {older_than_ms} ms without a result."
        released = _finished({"status": "error", "errorMessage": message})
        return await self._update_all(stale, released, "by_status_and_generationStartedAt")

    async def _finish(self, token: GenerationToken, changes: Mapping[str, str], **unset: str) -> Scene:
        wire = await self._collection.find_one_and_update(
            {"generationToken": token},
            _finished(changes, **unset),
            return_document=ReturnDocument.AFTER,
            hint="by_generationToken",
        )
        if wire is None:
            raise StaleGenerationError
        return Scene.from_wire(wire)


def _finished(changes: Mapping[str, str], **unset: str) -> dict[str, Any]:
    """The update that ends a run."""
    return {"$set": changes, "$unset": {"generationToken": "", "generationStartedAt": "", **unset}}
