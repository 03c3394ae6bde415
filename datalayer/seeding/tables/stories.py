"""Stories with their chapters, scenes and characters."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random
from typing import Any

from bson import ObjectId

from datalayer.engine.clock import MINUTE, SECOND
from datalayer.seeding.draws import Ids, happens, source
from datalayer.seeding.phrases import Writer, paragraphs, phrases
from datalayer.seeding.world import World

CHAPTERS = 24
_SCENES = 3
_CAST = 6


@dataclass(frozen=True, slots=True)
class Tale:
    """The documents of a story."""

    story: dict[str, Any]
    chapters: list[dict[str, Any]]
    scenes: list[dict[str, Any]]
    characters: list[dict[str, Any]]


class Tales:
    """The stories by number, in all states from the first outline to the last page."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.count = world.stories
        names = ("stories", "chapters", "scenes", "characters", "generations")
        self._stories, self._chapters, self._scenes, self._characters, self._tokens = (
            Ids(world, name) for name in names
        )
        self.marks = tuple(ids.mark for ids in (self._stories, self._chapters, self._scenes, self._characters))
        self.scene_count = sum(_scenes_of(number, at) for number in range(self.count) for at in range(CHAPTERS))
        self.character_count = sum(_cast_of(number) for number in range(self.count))

    def rows(self, part: Callable[[Tale], list[dict[str, Any]]]) -> Iterator[dict[str, Any]]:
        """Return the documents of one of the collections; `part` extracts them from a tale."""
        for number in range(self.count):
            yield from part(self._tale(number))

    def _tale(self, number: int) -> Tale:
        world = self._world
        random = source(world, f"story {number}")
        created = world.at((number + 0.5) / self.count)
        names: list[str] = random.sample(phrases("stories", "name"), _cast_of(number))
        tellers = {"harbour": [random.choice(phrases("stories", "harbour"))]}
        tellers |= {"hero": names[:1], "other": names[1:], "object": phrases("stories", "object")}
        writer = Writer(random, tellers)
        titles = phrases("stories", "titles")
        story = {
            "_id": self._stories.make(created, number),
            "title": writer.fill(titles[number % len(titles)]),
            "createdAt": created,
        }
        chapters = [self._chapter(story, number, at) for at in range(CHAPTERS)]
        scenes = [scene for at in range(CHAPTERS) for scene in self._scene_rows(random, writer, number, chapters[at])]
        return Tale(story, chapters, scenes, self._character_rows(writer, story, number, names))

    def _chapter(self, story: dict[str, Any], number: int, at: int) -> dict[str, Any]:
        written = at <= _progress(number)
        return {
            "_id": self._chapters.make(story["createdAt"], number * CHAPTERS + at),
            "storyId": story["_id"],
            "chapterNumber": at + 1,
            "title": phrases("stories", "chapters")[at] if written else f"Chapter {at + 1}",
        }

    def _scene_rows(
        self, random: Random, writer: Writer, number: int, chapter: dict[str, Any]
    ) -> Iterator[dict[str, Any]]:
        at = chapter["chapterNumber"] - 1
        written = chapter["_id"].generation_time.timestamp()
        for step in range(_scenes_of(number, at)):
            sequence = (number * CHAPTERS + at) * _SCENES + step
            writer.fresh()
            row: dict[str, Any] = {
                "_id": self._scenes.make(int(written) * SECOND, sequence),
                "storyId": chapter["storyId"],
                "chapterId": chapter["_id"],
                "sceneNumber": step + 1,
                "outline": writer.write("stories", "outline"),
                "regenerationCount": 0,
            }
            status = _status(number, at, step)
            yield row | self._state(random, writer, status, self._tokens.make(self._world.now, sequence))

    def _state(self, random: Random, writer: Writer, status: str, token: ObjectId) -> dict[str, Any]:
        state: dict[str, Any] = {"status": status}
        if status == "complete" or (status != "draft" and happens(random, 0.5)):
            state["prose"] = paragraphs(writer.several(random.randrange(3, 7), "stories", "prose"))
            # A scene that has a text and whose run is pending or failed is being regenerated.
            state["regenerationCount"] = random.choice((0, 0, 1, 2)) if status == "complete" else 1
        if status == "error":
            state["errorMessage"] = writer.write("stories", "error")
        if status == "generating":
            state["generationToken"] = token
            state["generationStartedAt"] = self._world.now - random.randrange(1, 50) * MINUTE // 10
        return state

    def _character_rows(
        self, writer: Writer, story: dict[str, Any], number: int, names: list[str]
    ) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        for step, name in enumerate(names):
            row = {
                "_id": self._characters.make(story["createdAt"] + step * SECOND, number * _CAST + step),
                "storyId": story["_id"],
                "name": name,
                "traits": writer.write("stories", "traits"),
            }
            if step % 3:
                row["backstory"] = writer.write("stories", "backstory")
            rows.append(row)
        return rows


def _progress(number: int) -> int:
    """Return the number of finished chapters."""
    return (5 + number * 11) % (CHAPTERS + 1)


def _scenes_of(number: int, at: int) -> int:
    """Return the number of scenes of the chapter; two chapters after the last finished one are outlined."""
    return 1 + (number + at) % _SCENES if at <= _progress(number) + 2 else 0


def _cast_of(number: int) -> int:
    return 3 + number % (_CAST - 2)


def _status(number: int, at: int, step: int) -> str:
    if at < _progress(number):
        return "complete"
    return ("generating", "error", "draft")[step] if at == _progress(number) else "draft"
