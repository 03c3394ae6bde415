"""Stories and their content."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from datalayer.documents.scenes import Scene, SceneStatus
from datalayer.documents.stories import CHAPTERS, Chapter, Character, Story
from datalayer.engine.boundary import Cursor, Limit
from datalayer.engine.fields import Title
from datalayer.engine.pages import Page
from datalayer.engine.repository import AT_ONCE, Children, Repository
from datalayer.ids import ChapterId, GenerationToken, SceneId, StoryId

SCENES_BATCH = 100
"""The number of scenes that one batch deletes. A scene's prose may have 400 KB."""

_COMMON_SPACES = " \n\t\r"
_RARE_SPACES = (
    *"\x0b\x0c\x1c\x1d\x1e\x1f\x85\xa0\u1680",
    *"\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000",
)


@dataclass(frozen=True, slots=True)
class SceneSummary:
    """A scene without its prose.

    Attributes:
        word_count: The number of words in the prose, 0 without prose.
    """

    id: SceneId
    story_id: StoryId
    chapter_id: ChapterId
    scene_number: int
    outline: str
    status: SceneStatus
    error_message: str | None
    regeneration_count: int
    generation_token: GenerationToken | None
    generation_started_at: int | None
    word_count: int


@dataclass(frozen=True, slots=True)
class ChapterNode:
    """A chapter with its scenes in order."""

    chapter: Chapter
    scenes: list[SceneSummary]


@dataclass(frozen=True, slots=True)
class StoryTree:
    """A story with its chapters in order."""

    story: Story
    chapters: list[ChapterNode]


class StoryRepository(Repository[Story, StoryId]):
    """The stories.

    Every method that creates something in a story writes to a document that deleting the story removes, so the two
    conflict.
    """

    document = Story

    async def create(self, title: Title) -> Story:
        """Create a story with its chapters, "Chapter 1" to "Chapter 24".

        Cost: one transaction, 3 round trips.
        """

        async def work() -> Story:
            story = await self._insert(self.document(title=title, created_at=self._now()))
            chapters = [
                self._class(Chapter)(story_id=story.id, chapter_number=number, title=f"Chapter {number}")
                for number in range(1, CHAPTERS + 1)
            ]
            await self._of(Chapter).insert_many([chapter.to_wire() for chapter in chapters])
            return story

        return await self._connection.transaction(work)

    async def rename(self, id: StoryId, title: Title) -> Story:
        """Change the story's title.

        Raises:
            NotFoundError: The story does not exist.

        Cost: 1 round trip; index `_id`.
        """
        return await self._update({"_id": id}, self._changes(title=title))

    async def delete(self, id: StoryId) -> None:
        """Delete the story with its chapters, scenes and characters, permanently.

        The results of running generations of its scenes are refused. If the story is too large for one transaction, the
        story and its chapters are deleted first, and its scenes and characters follow in batches. Those are no longer
        listed or found.

        Raises:
            NotFoundError: The story does not exist.
            IncompleteError: Some batches failed. Call the method again to finish.

        Cost: one transaction, 5 round trips; index by_story of each collection.
        """

        async def delete() -> bool:
            gone = await self._collection.delete_one({"_id": id})
            await self._of(Chapter).delete_many({"storyId": id}, hint="by_story")
            return gone.deleted_count == 1

        await self._delete_with(id, delete, _CONTENTS, size=SCENES_BATCH)

    async def tree(self, id: StoryId) -> StoryTree:
        """Return the story with its chapters and their scenes, without the prose, read from one snapshot.

        Raises:
            NotFoundError: The story does not exist.

        Cost: 3 round trips; indexes by_storyId_and_chapterNumber and by_story. The server reads the prose to count its
        words, 0.1 ms for a scene of 900 words.
        """
        async with self._connection.snapshot():
            story = self._found(await self._one({"_id": id}), id)
            chapters = (
                await self._of(Chapter)
                .find(
                    {"storyId": id},
                    sort={"chapterNumber": 1},
                    hint="by_storyId_and_chapterNumber",
                    batch_size=AT_ONCE,
                )
                .to_list()
            )
            counted = [{"$match": {"storyId": id}}, {"$set": {"words": _WORDS}}, {"$unset": "prose"}]
            scenes = await self._of(Scene).aggregate(counted, hint="by_story", batchSize=AT_ONCE)
            found = [_summary(wire) for wire in await scenes.to_list()]
        found.sort(key=lambda scene: scene.scene_number)
        of_chapter: defaultdict[ChapterId, list[SceneSummary]] = defaultdict(list)
        for scene in found:
            of_chapter[scene.chapter_id].append(scene)
        nodes = [ChapterNode(node, of_chapter[node.id]) for node in self._class(Chapter).from_wires(chapters)]
        return StoryTree(story, nodes)

    async def list(self, *, limit: Limit = 20, after: Cursor | None = None) -> Page[Story]:
        """Return a page of the stories, newest first.

        Cost: 1 round trip; index by_createdAt.
        """
        return await self._page({}, "by_createdAt", limit, after)


_CONTENTS = (Children(Scene, "storyId", "by_story"), Children(Character, "storyId", "by_story"))


def _summary(wire: Mapping[str, Any]) -> SceneSummary:
    scene = Scene.from_wire(wire)
    return SceneSummary(
        id=scene.id,
        story_id=scene.story_id,
        chapter_id=scene.chapter_id,
        scene_number=scene.scene_number,
        outline=scene.outline,
        status=scene.status,
        error_message=scene.error_message,
        regeneration_count=scene.regeneration_count,
        generation_token=scene.generation_token,
        generation_started_at=scene.generation_started_at,
        word_count=int(wire["words"]),
    )


def _words_between(*spaces: str) -> dict[str, Any]:
    """Return an expression that counts the words of the prose, separated by blanks and these characters."""
    blanks: Any = "$prose"
    for space in spaces:
        blanks = {"$replaceAll": {"input": blanks, "find": space, "replacement": " "}}
    return {"$size": {"$filter": {"input": {"$split": [blanks, " "]}, "cond": {"$ne": ["$$this", ""]}}}}


# Counts the words as Python's `str.split` does. `$regexFindAll` would take 20 times as long, and 300 times for long
# prose, because it counts the characters before each match from the beginning. Each replacement costs a pass over the
# prose, so a single pass checks for rare spaces first.
_WORDS: dict[str, Any] = {
    "$switch": {
        "branches": [
            {"case": {"$eq": [{"$type": "$prose"}, "missing"]}, "then": 0},
            {
                "case": {"$regexMatch": {"input": "$prose", "regex": f"[{''.join(_RARE_SPACES)}]"}},
                "then": _words_between(*_COMMON_SPACES[1:], *_RARE_SPACES),
            },
        ],
        "default": _words_between(*_COMMON_SPACES[1:]),
    }
}
