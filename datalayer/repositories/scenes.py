"""The scenes of the chapters, and the generation of their prose."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from pymongo import ReturnDocument, UpdateOne

from datalayer.documents.scenes import Outline, Scene, SceneStatus
from datalayer.documents.stories import Chapter
from datalayer.engine.boundary import UNSET, Unset
from datalayer.engine.collection import LOCK
from datalayer.engine.fields import Body, Count, Note, Positive
from datalayer.engine.ids import new_object_id
from datalayer.engine.repository import AT_ONCE, Repository, not_found
from datalayer.errors import AlreadyGeneratingError, InvalidInputError, StaleGenerationError
from datalayer.ids import ChapterId, GenerationToken, SceneId, StoryId

_IN_ORDER = "by_chapterId_and_sceneNumber"


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
    belongs_to = (Chapter, "chapterId")

    async def request_generation(self, id: SceneId, *, outline: Outline | None = None) -> GenerationTicket:
        """Begin a run for the scene, by a new outline if one is given. One round trip, `_id`; 2 where it fails.

        The prose stays until the run hands in another; a scene that has one counts as regenerated. The error of the
        run before is forgotten. Where the outcome is unknown (`UnavailableError`) the scene may wait for a run whose
        token nobody has: `release_stale` ends that too.

        Raises:
            AlreadyGeneratingError: Another run has the scene.
            NotFoundError: There is no such scene.
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
            # In a pipeline, a text that begins with a dollar would be a field's name.
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
        return self.document.from_wire(wire)


class Scenes(GenerationRepository):
    """The scenes, numbered from 1 in each chapter. What changes the numbers writes to the chapter.

    So no two transactions number a chapter at once, and none adds to a chapter that is being removed.
    """

    async def create(self, chapter_id: ChapterId, outline: Outline) -> Scene:
        """Make a scene, a draft, the last of its chapter. A transaction of 4 round trips, by_chapterId_and_sceneNumber.

        Raises:
            NotFoundError: There is no such chapter.
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
        """The chapter's scenes by number, as they were at one moment. One round trip, by_chapterId_and_sceneNumber."""
        async with self._connection.snapshot():
            return await self._visible({"chapterId": chapter_id}, sort={"sceneNumber": 1}, hint=_IN_ORDER)

    async def edit(self, id: SceneId, *, outline: Outline | Unset = UNSET, prose: Body | Unset | None = UNSET) -> Scene:
        """Change what the scene says, in whatever state it is. One round trip.

        The state stays; but a complete scene whose prose is removed is a draft again. A run that is under way completes
        the scene all the same, and its prose takes the place of this one.

        Raises:
            NotFoundError: There is none.
        """
        if prose is not None:
            return await self._update({"_id": id}, self._changes(outline=outline, prose=prose))
        # In a pipeline, a text that begins with a dollar would be a field's name.
        texts = {} if outline is UNSET else {"outline": {"$literal": outline}}
        status = {"$cond": [{"$eq": ["$status", "complete"]}, "draft", "$status"]}
        return await self._update({"_id": id}, [{"$set": {**texts, "status": status}}, {"$unset": "prose"}])

    async def move(self, id: SceneId, position: Positive) -> list[Scene]:
        """Put the scene at a place in its chapter, and give all of them in their new order.

        A transaction of 5 round trips, by_chapterId_and_sceneNumber.

        Raises:
            InvalidInputError: The chapter has fewer scenes.
            NotFoundError: There is no such scene.
        """

        async def work() -> list[Scene]:
            scene = self._found(await self._one({"_id": id}), id)
            await self._lock_chapter(scene.chapter_id)
            scenes = await self._in_order(scene.chapter_id)
            if position > len(scenes):
                raise InvalidInputError("position", f"must be from 1 to {len(scenes)}, the last place in the chapter")
            others = [other for other in scenes if other.id != id]
            order = [*others[: position - 1], scene, *others[position - 1 :]]
            before = {other.id: other.scene_number for other in scenes}
            await self._number(before, [other.id for other in order], id)
            return [item.model_copy(update={"scene_number": number}) for number, item in enumerate(order, 1)]

        return await self._connection.transaction(work)

    async def delete(self, id: SceneId) -> None:
        """Remove the scene; those behind it move up. A transaction of 5 round trips, by_chapterId_and_sceneNumber.

        A run that generates it changes nothing any more.

        Raises:
            NotFoundError: There is none.
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
        """How many of the story's scenes are in each state, 0 included, at one moment. One round trip.

        Served by by_story, and each scene of the story: 1 ms for 1,000.
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
        """Write to the chapter, and give its story."""
        chapter = await self._of(Chapter).find_one_and_update({"_id": id}, LOCK, {"storyId": 1})
        if chapter is None:
            raise not_found(Chapter, id)
        return chapter["storyId"]

    async def _number(self, before: Mapping[SceneId, int], order: Sequence[SceneId], moved: SceneId | None) -> None:
        """Give the scenes the numbers 1 to n, so that each is free when it is given. One round trip, or none.

        The one that is moved is out of the way meanwhile; the others are in their old order. Where numbers were
        imported with gaps, some of those may go down and some up.
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
    """The update that ends a run."""
    return {"$set": changes, "$unset": {"generationToken": "", "generationStartedAt": "", **unset}}
