"""The chapters of the stories."""

from datalayer.documents.scenes import Scene
from datalayer.documents.stories import Chapter
from datalayer.engine.fields import Title
from datalayer.engine.repository import Children, Repository
from datalayer.ids import ChapterId, StoryId
from datalayer.repositories.stories import SCENES_BATCH

_IN_ORDER = "by_storyId_and_chapterNumber"


class Chapters(Repository[Chapter, ChapterId]):
    """The chapters of the stories. `stories.create` creates them together with the story."""

    document = Chapter

    async def in_story(self, story_id: StoryId) -> list[Chapter]:
        """Return the story's chapters by number, read from one snapshot.

        Cost: 1 round trip; index by_storyId_and_chapterNumber.
        """
        async with self._connection.snapshot():
            return await self._all({"storyId": story_id}, sort={"chapterNumber": 1}, hint=_IN_ORDER)

    async def rename(self, id: ChapterId, title: Title) -> Chapter:
        """Change the chapter's title.

        Raises:
            NotFoundError: The chapter does not exist.

        Cost: 1 round trip; index `_id`.
        """
        return await self._update({"_id": id}, self._changes(title=title))

    async def delete(self, id: ChapterId) -> None:
        """Delete the chapter with its scenes, permanently.

        Later chapters move up, so the remaining ones are numbered without gaps. If the chapter has too many scenes for
        one transaction, the chapter is deleted first and its scenes follow in batches. Those scenes are no longer
        listed or found.

        Raises:
            NotFoundError: The chapter does not exist.
            IncompleteError: Some batches failed. Call the method again to finish.

        Cost: one transaction, 4 round trips; indexes by_storyId_and_chapterNumber and, on the scenes, by_chapter.
        """

        async def delete() -> bool:
            chapter = await self._collection.find_one_and_delete({"_id": id}, {"storyId": 1, "chapterNumber": 1})
            if chapter is None:
                return False
            # The updates run in index order, so no two chapters ever have the same number. They also write to a later
            # chapter that is being deleted, so concurrent deletions conflict.
            behind = {"storyId": chapter["storyId"], "chapterNumber": {"$gt": chapter["chapterNumber"]}}
            await self._collection.update_many(behind, {"$inc": {"chapterNumber": -1}}, hint=_IN_ORDER)
            return True

        await self._delete_with(id, delete, [Children(Scene, "chapterId", "by_chapter")], size=SCENES_BATCH)
