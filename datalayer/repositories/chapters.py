"""The chapters of the stories."""

from datalayer.documents.scenes import Scene
from datalayer.documents.stories import Chapter
from datalayer.engine.fields import Title
from datalayer.engine.repository import Children, Repository
from datalayer.ids import ChapterId, StoryId
from datalayer.repositories.stories import SCENES_BATCH

_IN_ORDER = "by_storyId_and_chapterNumber"


class Chapters(Repository[Chapter, ChapterId]):
    """The chapters; a story is made with all of them."""

    document = Chapter

    async def in_story(self, story_id: StoryId) -> list[Chapter]:
        """The story's chapters by number, as they were at one moment. One round trip, by_storyId_and_chapterNumber."""
        async with self._connection.snapshot():
            return await self._all({"storyId": story_id}, sort={"chapterNumber": 1}, hint=_IN_ORDER)

    async def rename(self, id: ChapterId, title: Title) -> Chapter:
        """Give the chapter another title. One round trip.

        Raises:
            NotFoundError: There is none.
        """
        return await self._update({"_id": id}, self._changes(title=title))

    async def delete(self, id: ChapterId) -> None:
        """Remove the chapter with its scenes; those behind it move up. A transaction of 4 round trips.

        The story then has a chapter less, numbered without a gap, and no way to get it back. Served by
        by_storyId_and_chapterNumber, and the scenes' by_chapter. Scenes that are too many for one transaction are
        removed in batches, behind the chapter: they are not listed or found any more.

        Raises:
            NotFoundError: There is none.
            IncompleteError: Some of the batches did not succeed: calling it again completes them.
        """

        async def delete() -> bool:
            chapter = await self._collection.find_one_and_delete({"_id": id}, {"storyId": 1, "chapterNumber": 1})
            if chapter is None:
                return False
            # In the order of the index, so no two have the same number at any moment. It writes to any chapter behind
            # this one that is being deleted too: so two deletions at once conflict.
            behind = {"storyId": chapter["storyId"], "chapterNumber": {"$gt": chapter["chapterNumber"]}}
            await self._collection.update_many(behind, {"$inc": {"chapterNumber": -1}}, hint=_IN_ORDER)
            return True

        await self._delete_with(id, delete, [Children(Scene, "chapterId", "by_chapter")], size=SCENES_BATCH)
