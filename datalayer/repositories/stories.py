"""Stories, and all that is in them."""

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
"""How many scenes are removed in a batch: their prose may have 400 KB each."""

_COMMON_SPACES = " \n\t\r"
_RARE_SPACES = (
    *"\x0b\x0c\x1c\x1d\x1e\x1f\x85\xa0\u1680",
    *"\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000",
)


@dataclass(frozen=True, slots=True)
class SceneSummary:
    """A scene without its prose.

    Attributes:
        word_count: How many words the prose has; 0 where there is none.
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
    """The stories. What makes something in a story writes to the document that its deletion removes."""

    document = Story

    async def create(self, title: Title) -> Story:
        """Make a story with its chapters, "Chapter 1" to "Chapter 24". A transaction of 3 round trips."""

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
        """Give the story another title. One round trip.

        Raises:
            NotFoundError: There is none.
        """
        return await self._update({"_id": id}, self._changes(title=title))

    async def delete(self, id: StoryId) -> None:
        """Remove the story with its chapters, scenes and characters. A transaction of 5 round trips.

        Served by by_story of each. The runs that generate its scenes change nothing any more. A story that is too large
        for one transaction goes first with its chapters, so that nothing of it is listed or found any more; then its
        scenes and characters are removed in batches.

        Raises:
            NotFoundError: There is none.
            IncompleteError: Some of the batches did not succeed: calling it again completes them.
        """

        async def delete() -> bool:
            gone = await self._collection.delete_one({"_id": id})
            await self._of(Chapter).delete_many({"storyId": id}, hint="by_story")
            return gone.deleted_count == 1

        await self._delete_with(id, delete, _CONTENTS, size=SCENES_BATCH)

    async def tree(self, id: StoryId) -> StoryTree:
        """The story with its chapters and their scenes, without the prose, as they were at one moment. 3 round trips.

        Served by by_storyId_and_chapterNumber and by_story. The server reads the prose to count its words: 0.1 ms for
        a scene of 900 words.

        Raises:
            NotFoundError: There is none.
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
        """The stories, newest first. One round trip, by_createdAt."""
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
    """How many words the prose has, where these characters and a blank are what separates them."""
    blanks: Any = "$prose"
    for space in spaces:
        blanks = {"$replaceAll": {"input": blanks, "find": space, "replacement": " "}}
    return {"$size": {"$filter": {"input": {"$split": [blanks, " "]}, "cond": {"$ne": ["$$this", ""]}}}}


# What Python's `split` counts. The obvious `$regexFindAll` takes 20 times as long, and for a long prose 300 times:
# it counts the characters up to each match from the beginning. A replacement costs a pass over the prose, and the rare
# ones are looked for in one.
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
