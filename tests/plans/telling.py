"""Example calls: the stories."""

from typing import Any

from datalayer.errors import AlreadyGeneratingError
from tests.plans.calls import Call, pages
from tests.plans.world import World


async def _scenes(w: World) -> list[Any]:
    chapter = await w.s.chapters.in_story(w.story)
    for number in range(5):
        await w.s.scenes.create(chapter[0].id, f"Outline {number}")
    return [scene.id for scene in await w.s.scenes.in_chapter(chapter[0].id)]


async def _draft(w: World) -> Any:
    return (await _scenes(w))[-1]


async def _run(w: World) -> Any:
    """A run, while others are under way."""
    first, *_ = [await w.s.scenes.request_generation(id) for id in await _scenes(w)]
    return first


async def _stale(w: World) -> None:
    await _run(w)
    await w.s.database.scenes.update_many({"status": "generating"}, {"$set": {"generationStartedAt": 1}})


async def _character(w: World) -> Any:
    return (await w.s.characters.create(w.story, name="New", traits="bold")).id


CALLS = [
    Call("stories.create", lambda w: w.s.stories.create("New")),
    *pages("stories.list", lambda w, after: w.s.stories.list(limit=3, after=after)),
    Call("stories.rename", lambda w: w.s.stories.rename(w.story, "New")),
    Call("stories.delete", lambda w: w.s.stories.delete(w.story)),
    Call("stories.tree", lambda w: w.s.stories.tree(w.story)),
    Call("chapters.in_story", lambda w: w.s.chapters.in_story(w.story)),
    Call("chapters.rename", lambda w: w.s.chapters.rename(w.chapter, "New")),
    Call("chapters.delete", lambda w: w.s.chapters.delete(w.chapter)),
    Call("scenes.create", lambda w: w.s.scenes.create(w.chapter, "Outline")),
    Call("scenes.in_chapter", lambda w: w.s.scenes.in_chapter(w.chapter)),
    Call("scenes.edit", lambda w, it: w.s.scenes.edit(it, outline="New"), before=_draft),
    Call("scenes.edit", lambda w, it: w.s.scenes.edit(it, outline="New", prose=None), "no prose", before=_draft),
    Call("scenes.move", lambda w, it: w.s.scenes.move(it, 1), before=_draft),
    Call("scenes.move", lambda w, ids: w.s.scenes.move(ids[0], 1), "where it is", before=_scenes),
    Call("scenes.delete", lambda w, ids: w.s.scenes.delete(ids[0]), before=_scenes),
    Call("scenes.request_generation", lambda w, it: w.s.scenes.request_generation(it), before=_draft),
    Call(
        "scenes.request_generation",
        lambda w, run: w.s.scenes.request_generation(run.scene.id),
        "under way",
        before=_run,
        raises=AlreadyGeneratingError,
    ),
    Call("scenes.complete_generation", lambda w, run: w.s.scenes.complete_generation(run.token, "x"), before=_run),
    Call("scenes.fail_generation", lambda w, run: w.s.scenes.fail_generation(run.token, "x"), before=_run),
    Call("scenes.release_stale", lambda w, _: w.s.scenes.release_stale(1_000), before=_stale),
    Call("scenes.status_counts", lambda w: w.s.scenes.status_counts(w.story), why="a key for each scene of the story"),
    Call("characters.create", lambda w: w.s.characters.create(w.story, name="New", traits="bold")),
    Call("characters.update", lambda w, it: w.s.characters.update(it, name="New"), before=_character),
    Call("characters.delete", lambda w, it: w.s.characters.delete(it), before=_character),
    Call("characters.in_story", lambda w: w.s.characters.in_story(w.story)),
]
