"""What is too much for one transaction happens in batches: hidden first, completed by a second call, told truly."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any
from unittest.mock import AsyncMock

import pytest
from bson import ObjectId
from pymongo import MongoClient
from pymongo.errors import AutoReconnect

from datalayer import Community, Stories
from datalayer.engine import batches
from datalayer.errors import IncompleteError, NotFoundError
from datalayer.repositories.levels import Levels
from tests.community.curricula import curriculum
from tests.community.world import people, person, post, space

Act = Callable[[Any, Any, Any], Awaitable[Any]]
"""Gets both databases, and what the world has given."""

MANY = 5


@dataclass(frozen=True)
class Large:
    """A change of many documents.

    Attributes:
        world: Makes the documents, and gives what the others need.
        run: Makes the change.
        done: Whether it is complete.
        hidden: Whether its readers see nothing any more of what is removed; of a removal.
    """

    name: str
    world: Act
    run: Act
    done: Act
    hidden: Act | None = None

    def __str__(self) -> str:
        return self.name


async def _author(c: Any, _s: Any, _: Any) -> Any:
    user, room = await person(c), await space(c)
    for _ in range(MANY):
        await post(c, room, user)
    return user.id


async def _has_new_name(c: Any, _s: Any, id: Any) -> bool:
    return await c.database.posts.count_documents({"authorId": id, "authorName": "Grace"}) == MANY


async def _points(c: Any, _s: Any, _: Any) -> Any:
    await c.gamification_config.set("post", 60)
    for user in await people(c, MANY):
        await c.points.award(user.id, "post")
    return None


async def _four_levels(c: Any, s: Any, _: Any) -> Any:
    await _points(c, s, None)
    levels = await c.levels.replace([{"name": f"{step}", "threshold": step} for step in (0, 10, 20, 100)])
    return levels[1].id


async def _levels_follow(c: Any, _s: Any, _: Any) -> bool:
    thresholds = [level.threshold for level in await c.levels.list()]
    levels = [sum(step <= user["points"] for step in thresholds) async for user in c.database.users.find()]
    return levels == [user["level"] async for user in c.database.users.find()]


async def _earner(c: Any, _s: Any, _: Any) -> Any:
    user = await person(c)
    await c.gamification_config.set("post", 1)
    for _ in range(MANY):
        await c.points.award(user.id, "post")
    return user.id


async def _conversation(c: Any, _s: Any, _: Any) -> Any:
    one, other = await people(c, 2)
    conversation = await c.conversations.open(one.id, other.id)
    messages = [await c.messages.send(conversation.id, one.id, "hello") for _ in range(MANY)]
    return conversation.id, other.id, [message.id for message in messages]


async def _no_message_is_found(c: Any, _s: Any, made: Any) -> bool:
    with pytest.raises(NotFoundError):
        await c.messages.history(made[0], reader_id=made[1])
    assert await c.conversations.find(made[0]) is None
    return not await c.messages.get_many(made[2]) and await c.messages.find(made[2][-1]) is None


async def _story(_c: Any, s: Any, _: Any) -> Any:
    story = await s.stories.create("Story")
    chapter = (await s.chapters.in_story(story.id))[0]
    scenes = [await s.scenes.create(chapter.id, "outline") for _ in range(MANY)]
    people = [await s.characters.create(story.id, name="Ada", traits="brave") for _ in range(MANY)]
    return story.id, chapter.id, [scene.id for scene in scenes], [character.id for character in people]


async def _nothing_of_the_story_is_found(_c: Any, s: Any, made: Any) -> bool:
    story, chapter, _, characters = made
    assert await s.stories.find(story) is None
    assert (await s.stories.list()).items == []
    assert await s.chapters.in_story(story) == []
    assert set((await s.scenes.status_counts(story)).values()) == {0}
    assert await s.characters.in_story(story) == []
    assert await s.characters.get_many(characters) == {}
    assert await s.characters.find(characters[-1]) is None
    with pytest.raises(NotFoundError):
        await s.scenes.create(chapter, "outline")
    return await _no_scene_is_found(None, s, made)


async def _no_scene_is_found(_c: Any, s: Any, made: Any) -> bool:
    _, chapter, scenes, _ = made
    assert await s.scenes.in_chapter(chapter) == []
    with pytest.raises(NotFoundError):
        await s.scenes.get(scenes[-1])
    return await s.scenes.get_many(scenes) == {}


def _none_in(*tables: str) -> Act:
    async def none(c: Any, _s: Any, _: Any) -> bool:
        return not [table for table in tables if await c.database[table].find_one({}) is not None]

    return none


async def _told(c: Any, _s: Any, _: Any) -> Any:
    user = await person(c)
    for _ in range(MANY):
        await c.notifications.notify(user.id, "news")
    return user.id


async def _reported(c: Any, _s: Any, _: Any) -> Any:
    reporters, target = await people(c, MANY), await post(c)
    for reporter in reporters:
        await c.reports.file(reporter.id, "post", target.id, "spam")
    return target.id, reporters[0].id


async def _runs(c: Any, s: Any, _: Any) -> None:
    for id in (await _story(c, s, None))[2]:
        await s.scenes.request_generation(id)
    await c.database.scenes.update_many({}, {"$set": {"generationStartedAt": 0}})


def _none_with(table: str, **filter: Any) -> Act:
    async def none(c: Any, _s: Any, _: Any) -> bool:
        return await c.database[table].find_one(filter) is None

    return none


async def _learners(c: Any, _s: Any, _: Any) -> Any:
    """People who lack nothing but one lesson, which they have opened last; some have done that one, too."""
    # Not the first course in the collection.
    await curriculum(c, 1)
    world = await curriculum(c, 2, 1)
    kept, gone, elsewhere = world.lessons
    for number, user in enumerate(await people(c, MANY)):
        await c.enrollments.enroll(user.id, world.course.id)
        for lesson in (kept, elsewhere, *([gone] if number % 2 else [])):
            await c.lesson_progress.complete(user.id, lesson.id)
        await c.enrollments.open_lesson(user.id, gone.id)
    return {
        "lesson": gone.id,
        "module": world.modules[0].id,
        "kept": kept.id,
        "course": world.course.id,
        "user": user.id,
    }


async def _is_forgotten(c: Any, _s: Any, ids: Any) -> bool:
    assert await c.lessons.find(ids["lesson"]) is None
    left = [
        row
        async for row in c.database.enrollments.find({"$or": [{"completedAt": None}, {"lastLessonId": ids["lesson"]}]})
    ]
    progress = await c.database.lessonProgress.find_one({"lessonId": ids["lesson"]})
    removing = await c.database.courses.find_one({"removing": {"$exists": True}})
    return not left and progress is None and removing is None


async def _no_lesson_is_found(c: Any, _s: Any, ids: Any) -> bool:
    assert await c.lessons.find(ids["lesson"]) is None
    with pytest.raises(NotFoundError):
        await c.lesson_progress.complete(ids["user"], ids["lesson"])
    assert ids["lesson"] not in (await c.lesson_progress.of_course(ids["user"], ids["course"])).lesson_ids
    return await c.enrollments.resume(ids["user"], ids["course"]) != ids["lesson"]


STEPS: Any = [{"name": f"{step}", "threshold": step} for step in (0, 5, 25, 50)]

CHANGES = [
    Large(
        "users.update_profile", _author, lambda c, _, user: c.users.update_profile(user, name="Grace"), _has_new_name
    ),
    Large("levels.replace", _points, lambda c, _, __: c.levels.replace(STEPS), _levels_follow),
    Large("levels.install_defaults", _points, lambda c, _, __: c.levels.install_defaults(), _levels_follow),
    Large("levels.delete", _four_levels, lambda c, _, level: c.levels.delete(level), _levels_follow),
    Large(
        "lessons.delete",
        _learners,
        lambda c, _, ids: c.lessons.delete(ids["lesson"]),
        _is_forgotten,
        _no_lesson_is_found,
    ),
    Large(
        "modules.delete",
        _learners,
        lambda c, _, ids: c.modules.delete(ids["module"]),
        _is_forgotten,
        _no_lesson_is_found,
    ),
    Large("users.delete", _earner, lambda c, _, user: c.users.delete(user), _none_in("users", "points")),
    Large(
        "conversations.delete",
        _conversation,
        lambda c, _, made: c.conversations.delete(made[0]),
        _none_in("conversations", "messages"),
        _no_message_is_found,
    ),
    Large(
        "stories.delete",
        _story,
        lambda _, s, made: s.stories.delete(made[0]),
        _none_in("stories", "chapters", "scenes", "characters"),
        _nothing_of_the_story_is_found,
    ),
    Large(
        "chapters.delete",
        _story,
        lambda _, s, made: s.chapters.delete(made[1]),
        _none_in("scenes"),
        _no_scene_is_found,
    ),
]
"""A change that documents follow."""

MANY_CHANGES = [
    Large(
        "notifications.mark_all_read",
        _told,
        lambda c, _, user: c.notifications.mark_all_read(user),
        _none_with("notifications", read=False),
    ),
    Large(
        "messages.mark_read",
        _conversation,
        lambda c, _, made: c.messages.mark_read(made[0], made[1]),
        _none_with("messages", readAt=None),
    ),
    Large(
        "reports.resolve",
        _reported,
        lambda c, _, made: c.reports.resolve("post", made[0], resolver_id=made[1]),
        _none_with("reports", status="pending"),
    ),
    Large(
        "scenes.release_stale",
        _runs,
        lambda _, s, __: s.scenes.release_stale(0),
        _none_with("scenes", status="generating"),
    ),
]
"""A change of many documents that have nothing to do with each other."""


@pytest.fixture
def _in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """No transaction takes more than two documents."""
    monkeypatch.setattr(batches, "AT_ONCE_ATTEMPTS", 0)
    monkeypatch.setattr(batches, "BATCH", 2)
    monkeypatch.setattr("datalayer.repositories.stories.SCENES_BATCH", 2)
    monkeypatch.setattr("datalayer.repositories.chapters.SCENES_BATCH", 2)
    monkeypatch.setattr("datalayer.repositories.users.COPIES_AT_ONCE", 2)


@contextmanager
def _interrupted() -> Iterator[None]:
    """The connection is lost behind the first batch."""
    run, calls = batches._next, iter(range(1))

    async def interrupted(*arguments: Any) -> Any:
        if next(calls, None) is None:
            raise AutoReconnect
        return await run(*arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batches, "_next", interrupted)
        yield


@pytest.mark.usefixtures("_in_batches")
@pytest.mark.parametrize("large", [*CHANGES, *MANY_CHANGES], ids=str)
async def test_an_interruption(community: Community, stories: Stories, large: Large) -> None:
    """It says so, readers see nothing of what is being removed, and calling it again completes it."""
    made = await large.world(community, stories, None)
    with _interrupted(), pytest.raises(IncompleteError):
        await large.run(community, stories, made)
    assert not await large.done(community, stories, made)
    if large.hidden is not None:
        assert await large.hidden(community, stories, made)
    await large.run(community, stories, made)
    assert await large.done(community, stories, made)


@pytest.mark.parametrize("large", [*CHANGES, *MANY_CHANGES], ids=str)
@pytest.mark.share(2)
async def test_in_time(community: Community, stories: Stories, server_uri: str, large: Large) -> None:
    """What takes too long in one transaction is done in batches, although nobody else is there."""
    made = await large.world(community, stories, None)
    slow = {"failCommands": ["update", "delete"], "blockConnection": True, "blockTimeMS": 600}
    with MongoClient[Any](server_uri) as admin, pytest.MonkeyPatch.context() as patch:
        patch.setattr(batches, "AT_ONCE_SECONDS", 0.3)
        admin.admin.command("configureFailPoint", "failCommand", mode={"times": 1}, data=slow)
        patch.setattr(batches, "_next", spy := AsyncMock(side_effect=batches._next))
        try:
            await large.run(community, stories, made)
        finally:
            admin.admin.command("configureFailPoint", "failCommand", mode="off")
    assert spy.await_count
    assert await large.done(community, stories, made)


async def test_others_write_all_the_time(community: Community) -> None:
    """Batches that conflict are halved, down to one document, and grow again: one locked user stops no others."""
    await _points(community, None, None)
    sizes, lock, locked = list[int](), asyncio.Event(), asyncio.Event()
    follow = Levels._follow_batch

    async def batch(self: Levels, after: ObjectId | None, size: int) -> list[ObjectId]:
        sizes.append(size)
        if size == 1:
            lock.set()
        return await follow(self, after, size)

    async def hold(other: Community) -> None:
        first = await other.database.users.find_one({}, sort={"_id": 1})
        assert first is not None
        await other.users.update_profile(first["_id"], bio="written to")
        locked.set()
        await lock.wait()

    # Another connection: those of one take turns.
    async with Community.over(community.database) as other:
        holding = asyncio.ensure_future(other.transaction(partial(hold, other)))
        await locked.wait()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Levels, "_follow_batch", batch)
            patch.setattr(batches, "BATCH", 8)
            await community.levels.replace(STEPS)
        await holding
    assert sizes[:4] == [8, 4, 2, 1]
    assert max(sizes[4:]) > 1
    assert await _levels_follow(community, None, None)


@pytest.mark.usefixtures("_in_batches")
async def test_the_next_removal_completes_another_one(community: Community, stories: Stories) -> None:
    """One that was interrupted in the same course, and that nobody has called again."""
    ids = await _learners(community, stories, None)
    with _interrupted(), pytest.raises(IncompleteError):
        await community.lessons.delete(ids["lesson"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batches, "AT_ONCE_ATTEMPTS", 1)
        await community.lessons.delete(ids["kept"])
    assert await _is_forgotten(community, stories, ids)
    with pytest.raises(NotFoundError):
        await community.lessons.delete(ids["lesson"])
