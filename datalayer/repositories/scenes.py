"""The scenes of the chapters, and the generation of their prose."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from pymongo import ReturnDocument, UpdateOne

from datalayer.documents.scenes import Outline, Scene, SceneStatus
from datalayer.documents.stories import Chapter
from datalayer.engine.boundary import UNSET, Unset
from datalayer.engine.collection import LOCK
from datalayer.engine.fields import Body, Count, Positive, ShortText
from datalayer.engine.ids import new_object_id
from datalayer.engine.repository import AT_ONCE, Repository, not_found
from datalayer.errors import AlreadyGeneratingError, InvalidInputError, StaleGenerationError
from datalayer.ids import ChapterId, GenerationToken, SceneId, StoryId

_IN_ORDER = "by_chapterId_and_sceneNumber"


@dataclass(frozen=True, slots=True)
class GenerationTicket:
    """The permission to generate a scene's prose.

    Attributes:
        scene: The scene with the outline to follow. Its `prose` is that of the previous run, if any.
        token: Identifies the run. It is valid for one result, until the run is released.
    """

    scene: Scene
    token: GenerationToken


class GenerationRepository(Repository[Scene, SceneId]):
    """The generation runs. A scene has at most one run, and the run's token is the only proof of it.

    Each step is one conditional update, so of several concurrent calls one succeeds. A crashed run keeps its scene
    until `release_stale`. The scene may be edited or moved meanwhile; the run still completes it.
    """

    document = Scene
    belongs_to = (Chapter, "chapterId")

    async def request_generation(self, id: SceneId, *, outline: Outline | None = None) -> GenerationTicket:
        """Start a generation run for the scene, optionally with a new outline.

        The old prose is kept until the run hands in a new one; if there is prose, `regenerationCount` grows by 1. The
        error of the previous run is cleared. If the outcome is unknown (`UnavailableError`), the scene may be waiting
        for a run whose token nobody has; `release_stale` ends that run too.

        Raises:
            AlreadyGeneratingError: The scene already has a run.
            NotFoundError: The scene does not exist.

        Cost: 1 round trip, 2 if it fails; index `_id`.
        """
        token = GenerationToken(new_object_id())
        again = {"$cond": [{"$eq": [{"$type": "$prose"}, "missing"]}, 0, 1]}
        changes: dict[str, Any] = {
            "status": "generating",
            "generationToken": token,
            "generationStartedAt": self._now(),
            "regenerationCount": {"$add": ["$regenerationCount", again]},
        }
        if outline is not None:
            # `$literal`, because in a pipeline a text that starts with a dollar sign is a field path.
            changes["outline"] = {"$literal": outline}
        wire = await self._collection.find_one_and_update(
            {"_id": id, "status": {"$ne": "generating"}},
            [{"$set": changes}, {"$unset": "errorMessage"}],
            return_document=ReturnDocument.AFTER,
        )
        if wire is not None:
            return GenerationTicket(self.document.from_wire(wire), token)
        if await self._collection.find_one({"_id": id}, {"_id": 1}) is None:
            raise not_found(Scene, id)
        raise AlreadyGeneratingError

    async def complete_generation(self, token: GenerationToken, prose: Body) -> Scene:
        """Hand in the prose and complete the scene.

        The token becomes invalid. If the outcome is unknown (`UnavailableError`), call it again: it either succeeds, or
        raises `StaleGenerationError` because the first call had succeeded or the run was released in between. The
        scene's prose tells which.

        Raises:
            StaleGenerationError: The run no longer owns the scene. Nothing was changed.

        Cost: 1 round trip; index by_generationToken.
        """
        return await self._finish(token, {"status": "complete", "prose": prose}, errorMessage="")

    async def fail_generation(self, token: GenerationToken, error_message: ShortText) -> Scene:
        """End the run with an error. The prose of the previous run is kept.

        If the outcome is unknown, call it again, as for `complete_generation`.

        Raises:
            StaleGenerationError: The run no longer owns the scene. Nothing was changed.

        Cost: 1 round trip; index by_generationToken.
        """
        return await self._finish(token, {"status": "error", "errorMessage": error_message})

    async def release_stale(self, older_than_ms: Count) -> int:
        """Release the scenes of runs that started more than `older_than_ms` milliseconds ago.

        These runs have failed: their scenes can be requested again, and results that they still hand in are refused.
        Times come from the clocks of the processes, so choose more than the duration of a run plus the difference
        between the clocks.

        Returns:
            The number of released scenes.

        Cost: one transaction, 2 round trips; index by_status_and_generationStartedAt.
        """
        # `$not` instead of `$lt`, because it also matches scenes that were imported without a time.
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
        return self.document.from_wire(wire)


class Scenes(GenerationRepository):
    """The scenes, numbered from 1 in each chapter.

    Every change of the numbers writes to the chapter, so no two transactions number a chapter concurrently, and none
    adds to a chapter that is being deleted.
    """

    async def create(self, chapter_id: ChapterId, outline: Outline) -> Scene:
        """Create a scene as a draft at the end of its chapter.

        Raises:
            NotFoundError: The chapter does not exist.

        Cost: one transaction, 4 round trips; index by_chapterId_and_sceneNumber.
        """

        async def work() -> Scene:
            story_id = await self._lock_chapter(chapter_id)
            last = await self._collection.find_one(
                {"chapterId": chapter_id}, {"sceneNumber": 1}, sort={"sceneNumber": -1}, hint=_IN_ORDER
            )
            return await self._insert(
                self.document(
                    story_id=story_id,
                    chapter_id=chapter_id,
                    scene_number=1 if last is None else int(last["sceneNumber"]) + 1,
                    outline=outline,
                    status="draft",
                    regeneration_count=0,
                )
            )

        return await self._connection.transaction(work)

    async def in_chapter(self, chapter_id: ChapterId) -> list[Scene]:
        """Return the chapter's scenes by number, read from one snapshot.

        Cost: 1 round trip; index by_chapterId_and_sceneNumber.
        """
        async with self._connection.snapshot():
            return await self._visible({"chapterId": chapter_id}, sort={"sceneNumber": 1}, hint=_IN_ORDER)

    async def edit(self, id: SceneId, *, outline: Outline | Unset = UNSET, prose: Body | Unset | None = UNSET) -> Scene:
        """Change the given texts of the scene, in any status.

        The status does not change, except that a complete scene whose prose is removed becomes a draft. A running
        generation still completes the scene and replaces its prose.

        Raises:
            NotFoundError: The scene does not exist.

        Cost: 1 round trip; index `_id`.
        """
        if prose is not None:
            return await self._update({"_id": id}, self._changes(outline=outline, prose=prose))
        # `$literal`, because in a pipeline a text that starts with a dollar sign is a field path.
        texts = {} if outline is UNSET else {"outline": {"$literal": outline}}
        status = {"$cond": [{"$eq": ["$status", "complete"]}, "draft", "$status"]}
        return await self._update({"_id": id}, [{"$set": {**texts, "status": status}}, {"$unset": "prose"}])

    async def move(self, id: SceneId, position: Positive) -> list[Scene]:
        """Move the scene to a position in its chapter, and return all scenes of the chapter in their new order.

        Raises:
            InvalidInputError: The chapter has fewer scenes.
            NotFoundError: The scene does not exist.

        Cost: one transaction, 5 round trips; index by_chapterId_and_sceneNumber.
        """

        async def work() -> list[Scene]:
            scene = self._found(await self._one({"_id": id}), id)
            await self._lock_chapter(scene.chapter_id)
            scenes = await self._in_order(scene.chapter_id)
            if position > len(scenes):
                raise InvalidInputError("position", f"must be from 1 to {len(scenes)}, the size of the chapter")
            others = [other for other in scenes if other.id != id]
            order = [*others[: position - 1], scene, *others[position - 1 :]]
            before = {other.id: other.scene_number for other in scenes}
            await self._number(before, [other.id for other in order], id)
            return [item.model_copy(update={"scene_number": number}) for number, item in enumerate(order, 1)]

        return await self._connection.transaction(work)

    async def delete(self, id: SceneId) -> None:
        """Delete the scene, permanently. Later scenes move up.

        The result of a running generation of this scene is refused.

        Raises:
            NotFoundError: The scene does not exist.

        Cost: one transaction, 5 round trips; index by_chapterId_and_sceneNumber.
        """

        async def work() -> None:
            scene = await self._collection.find_one_and_delete({"_id": id}, {"chapterId": 1})
            if scene is None:
                raise not_found(Scene, id)
            await self._lock_chapter(scene["chapterId"])
            cursor = self._collection.find(
                {"chapterId": scene["chapterId"]},
                {"sceneNumber": 1},
                sort={"sceneNumber": 1},
                batch_size=AT_ONCE,
                hint=_IN_ORDER,
            )
            left = {wire["_id"]: int(wire["sceneNumber"]) for wire in await cursor.to_list()}
            await self._number(left, [*left], None)

        await self._connection.transaction(work)

    async def status_counts(self, story_id: StoryId) -> dict[SceneStatus, int]:
        """Count the story's scenes by status, including zeros, in one snapshot.

        Cost: 1 round trip; index by_story; reads every scene of the story, 1 ms per 1,000.
        """
        story = {
            "from": "stories",
            "pipeline": [{"$match": {"_id": story_id}}, {"$project": {"_id": 1}}],
            "as": "story",
        }
        groups = [{"$match": {"storyId": story_id}}, {"$group": {"_id": "$status", "scenes": {"$sum": 1}}}]
        async with self._connection.snapshot():
            cursor = await self._collection.aggregate([*groups, {"$lookup": story}], hint="by_story")
            found = {group["_id"]: int(group["scenes"]) for group in await cursor.to_list() if group["story"]}
        statuses: tuple[SceneStatus, ...] = get_args(SceneStatus)
        return {status: found.get(status, 0) for status in statuses}

    async def _in_order(self, chapter_id: ChapterId) -> list[Scene]:
        return await self._all({"chapterId": chapter_id}, sort={"sceneNumber": 1}, hint=_IN_ORDER)

    async def _lock_chapter(self, id: ChapterId) -> StoryId:
        """Lock the chapter by a write, and return its story."""
        chapter = await self._of(Chapter).find_one_and_update({"_id": id}, LOCK, {"storyId": 1})
        if chapter is None:
            raise not_found(Chapter, id)
        return chapter["storyId"]

    async def _number(self, before: Mapping[SceneId, int], order: Sequence[SceneId], moved: SceneId | None) -> None:
        """Number the scenes 1 to n, in an order of updates in which each number is free. 1 round trip, or none.

        The moved scene is given a free number meanwhile; the others keep their relative order. If numbers were imported
        with gaps, some of them may go down and some up.
        """
        wrong = [(id, number) for number, id in enumerate(order, 1) if before[id] != number]
        down = [(id, number) for id, number in wrong if number < before[id] and id != moved]
        up = [(id, number) for id, number in wrong if number > before[id] and id != moved]
        steps = [*down, *reversed(up)]
        if moved is not None:
            steps = [(moved, max(before.values()) + 1), *steps, (moved, order.index(moved) + 1)]
        if wrong:
            updates = [UpdateOne({"_id": id}, {"$set": {"sceneNumber": number}}) for id, number in steps]
            await self._collection.bulk_write(updates)


def _finished(changes: Mapping[str, str], **unset: str) -> dict[str, Any]:
    """Return the update that ends a run."""
    return {"$set": changes, "$unset": {"generationToken": "", "generationStartedAt": "", **unset}}
