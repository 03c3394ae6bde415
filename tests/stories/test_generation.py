"""The runs of the generation: one at a time, and only the newest changes anything."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest
from bson import ObjectId

from datalayer import Stories
from datalayer.documents import Scene
from datalayer.errors import AlreadyGeneratingError, InvalidInputError, NotFoundError, StaleGenerationError
from datalayer.ids import GenerationToken, SceneId
from datalayer.testing import count_commands
from tests.stories.world import assert_sound, chapter, scenes


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 1_000_000

    def __call__(self) -> int:
        """The time."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    """What `timed` goes by."""
    return Clock()


@pytest.fixture
async def timed(stories: Stories, clock: Clock) -> AsyncIterator[Stories]:
    """The empty story generator, by a clock that is set by hand."""
    async with Stories.over(stories.database, schema="skip", clock=clock) as opened:
        yield opened


async def scene_of(stories: Stories) -> Scene:
    """A scene of a story of its own."""
    return (await scenes(stories, await chapter(stories), "a"))[0]


async def row(stories: Stories, scene: Scene) -> dict[str, Any]:
    """The scene as MongoDB has it."""
    return await stories.database.scenes.find_one({"_id": scene.id}) or {}


async def test_one_of_many_requests_gets_the_ticket(stories: Stories) -> None:
    scene = await scene_of(stories)
    for count in range(3):
        requests = (stories.scenes.request_generation(scene.id) for _ in range(20))
        results = await asyncio.gather(*requests, return_exceptions=True)
        tickets = [result for result in results if not isinstance(result, BaseException)]
        assert Counter(type(result) for result in results)[AlreadyGeneratingError] == 19
        assert tickets[0].scene == await stories.scenes.get(scene.id)
        assert (tickets[0].scene.status, tickets[0].scene.generation_token) == ("generating", tickets[0].token)
        complete = await stories.scenes.complete_generation(tickets[0].token, f"prose {count}")
        assert complete.regeneration_count == count
    await assert_sound(stories)


async def test_each_step_is_one_round_trip(stories: Stories) -> None:
    scene = await scene_of(stories)
    with count_commands(stories) as commands:
        ticket = await stories.scenes.request_generation(scene.id)
        await stories.scenes.complete_generation(ticket.token, "prose")
        await stories.scenes.status_counts(scene.story_id)
    assert [command.name for command in commands] == ["findAndModify", "findAndModify", "aggregate"]


async def test_a_completed_run(timed: Stories, clock: Clock) -> None:
    """Prose and state, and nothing of the run; its token is used up."""
    scene = await scene_of(timed)
    ticket = await timed.scenes.request_generation(scene.id, outline="$prose")
    assert (ticket.scene.outline, ticket.scene.generation_started_at) == ("$prose", clock.now)
    complete = await timed.scenes.complete_generation(ticket.token, "$outline")
    assert (complete.status, complete.prose, complete.regeneration_count) == ("complete", "$outline", 0)
    found = await row(timed, scene)
    assert found.keys().isdisjoint({"errorMessage", "generationToken", "generationStartedAt"})
    for hand_in in (timed.scenes.complete_generation, timed.scenes.fail_generation):
        with pytest.raises(StaleGenerationError):
            await hand_in(ticket.token, "again")
    assert await row(timed, scene) == found


async def test_a_failed_run_keeps_the_old_prose_until_the_next_succeeds(stories: Stories) -> None:
    scene = await scene_of(stories)
    await stories.scenes.edit(scene.id, prose="old")
    first = await stories.scenes.request_generation(scene.id)
    failed = await stories.scenes.fail_generation(first.token, "too long")
    assert (failed.status, failed.prose, failed.error_message) == ("error", "old", "too long")
    assert (failed.regeneration_count, failed.generation_token) == (1, None)
    second = await stories.scenes.request_generation(scene.id)
    assert second.token != first.token
    assert (second.scene.prose, second.scene.error_message, second.scene.regeneration_count) == ("old", None, 2)
    complete = await stories.scenes.complete_generation(second.token, "new")
    assert (complete.prose, complete.error_message) == ("new", None)
    await assert_sound(stories)


async def test_a_completed_run_leaves_no_error(stories: Stories) -> None:
    """Whoever wrote one while it was under way."""
    scene = await scene_of(stories)
    ticket = await stories.scenes.request_generation(scene.id)
    await stories.database.scenes.update_one({"_id": scene.id}, {"$set": {"errorMessage": "of another service"}})
    assert (await stories.scenes.complete_generation(ticket.token, "prose")).error_message is None
    await assert_sound(stories)


@pytest.mark.quick("scenes")
async def test_an_outdated_token_changes_nothing(timed: Stories, clock: Clock) -> None:
    """Of a run that was released, of one that was replaced, and one that there never was."""
    scene = await scene_of(timed)
    dead = await timed.scenes.request_generation(scene.id)
    clock.now += 10
    assert await timed.scenes.release_stale(9) == 1
    outdated = [dead.token, GenerationToken(ObjectId())]
    for _ in range(2):
        found = await row(timed, scene)
        for token in outdated:
            with pytest.raises(StaleGenerationError):
                await timed.scenes.complete_generation(token, "late")
            with pytest.raises(StaleGenerationError):
                await timed.scenes.fail_generation(token, "late")
        assert await row(timed, scene) == found
        if found["status"] == "error":
            alive = await timed.scenes.request_generation(scene.id)
    assert (await timed.scenes.complete_generation(alive.token, "in time")).prose == "in time"


async def test_the_run_of_a_deleted_scene_is_stale(stories: Stories) -> None:
    """The scene, its chapter or its story."""
    for removal in ("scene", "chapter", "story"):
        scene = await scene_of(stories)
        ticket = await stories.scenes.request_generation(scene.id)
        if removal == "scene":
            await stories.scenes.delete(scene.id)
        elif removal == "chapter":
            await stories.chapters.delete(scene.chapter_id)
        else:
            await stories.stories.delete(scene.story_id)
        with pytest.raises(StaleGenerationError):
            await stories.scenes.complete_generation(ticket.token, "late")
        with pytest.raises(NotFoundError):
            await stories.scenes.request_generation(scene.id)
    assert await stories.database.scenes.count_documents({}) == 0


async def test_only_stale_runs_are_released(timed: Stories, clock: Clock) -> None:
    """Those that are older than what is asked for, of every story; they can be requested again."""
    old, young, draft = [await scene_of(timed) for _ in range(3)]
    await timed.scenes.edit(old.id, prose="kept")
    await timed.scenes.request_generation(old.id)
    clock.now += 1_000
    ticket = await timed.scenes.request_generation(young.id)
    clock.now += 500
    assert await timed.scenes.release_stale(1_500) == 0
    assert await timed.scenes.release_stale(1_499) == 1
    assert await timed.scenes.release_stale(1_499) == 0
    released = await timed.scenes.get(old.id)
    assert (released.status, released.prose, released.regeneration_count) == ("error", "kept", 1)
    assert released.error_message == "The run was released after more than 1499 ms without a result."
    await assert_sound(timed)
    assert await timed.scenes.get(draft.id) == draft
    assert (await timed.scenes.complete_generation(ticket.token, "done")).status == "complete"
    assert (await timed.scenes.request_generation(old.id)).scene.regeneration_count == 2


async def test_a_run_without_a_time_is_stale(stories: Stories) -> None:
    """One that was imported from the original, which has neither time nor token."""
    scene = await scene_of(stories)
    await stories.database.scenes.update_one({"_id": scene.id}, {"$set": {"status": "generating"}})
    assert await stories.scenes.release_stale(60_000) == 1
    assert (await stories.scenes.get(scene.id)).status == "error"


async def test_a_completion_and_a_release_at_once(timed: Stories, clock: Clock) -> None:
    """One of the two has the scene, and the other one knows."""
    for _ in range(10):
        scene = await scene_of(timed)
        ticket = await timed.scenes.request_generation(scene.id)
        clock.now += 1
        completed, released = await asyncio.gather(
            timed.scenes.complete_generation(ticket.token, "prose"),
            timed.scenes.release_stale(0),
            return_exceptions=True,
        )
        status = (await timed.scenes.get(scene.id)).status
        assert (isinstance(completed, Scene), released, status) in {(True, 0, "complete"), (False, 1, "error")}


async def test_status_counts(stories: Stories) -> None:
    where = await chapter(stories)
    a, b, c, _ = await scenes(stories, where, "abcd")
    await scene_of(stories)
    done = await stories.scenes.request_generation(a.id)
    await stories.scenes.complete_generation(done.token, "prose")
    failed = await stories.scenes.request_generation(b.id)
    await stories.scenes.fail_generation(failed.token, "")
    assert await stories.scenes.status_counts(where.story_id) == {
        "draft": 2,
        "generating": 0,
        "complete": 1,
        "error": 1,
    }
    await stories.scenes.request_generation(c.id)
    assert (await stories.scenes.status_counts(where.story_id))["generating"] == 1
    assert set((await stories.scenes.status_counts(where.id)).values()) == {0}  # type: ignore[arg-type]


async def test_a_request_is_undone_with_its_transaction(stories: Stories) -> None:
    scene = await scene_of(stories)

    async def work() -> None:
        await stories.scenes.request_generation(scene.id)
        raise NotFoundError

    with pytest.raises(NotFoundError):
        await stories.transaction(work)
    assert await stories.scenes.get(scene.id) == scene


async def test_bad_input(stories: Stories) -> None:
    scene = await scene_of(stories)
    ticket = await stories.scenes.request_generation(scene.id)
    bad: list[tuple[Any, str]] = [
        (stories.scenes.complete_generation(str(ticket.token), "p"), "token"),  # type: ignore[arg-type]
        (stories.scenes.complete_generation({"$exists": True}, "p"), "token"),  # type: ignore[arg-type]
        (stories.scenes.complete_generation(ticket.token, ""), "prose"),
        (stories.scenes.complete_generation(ticket.token, "x" * 100_001), "prose"),
        (stories.scenes.fail_generation(ticket.token, "x" * 2_001), "error_message"),
        (stories.scenes.fail_generation(ticket.token, None), "error_message"),  # type: ignore[arg-type]
        (stories.scenes.release_stale(-1), "older_than_ms"),
        (stories.scenes.status_counts("x"), "story_id"),  # type: ignore[arg-type]
    ]
    for call, field in bad:
        with pytest.raises(InvalidInputError) as error:
            await call
        assert error.value.field == field
    with pytest.raises(NotFoundError):
        await stories.scenes.request_generation(SceneId(ObjectId()))
    assert await stories.scenes.get(scene.id) == ticket.scene
