"""What makes something in a parent, while the parent is removed for good: in every order of their commands."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import Any

import pytest
from bson import ObjectId

from tests.community.world import people
from tests.interleaving.stepping import Two
from tests.seeding.invariants import violations

Ids = dict[str, Any]
Act = Callable[[Any, Any, Ids], Awaitable[Any]]
"""Gets both databases, and the ids of a small world."""


@dataclass(frozen=True)
class Pair:
    """A removal, and what is made in what it removes.

    Attributes:
        world: Makes what both are about, and gives the ids.
        make: Makes the child.
        remove: Removes the parent.
        left: The filters, by table, of what must not be there once the parent is gone.
    """

    name: str
    world: Callable[[Any, Any], Awaitable[Ids]]
    make: Act
    remove: Act
    left: Callable[[Ids], dict[str, dict[str, Any]]]

    def __str__(self) -> str:
        return self.name


async def _user(c: Any, _s: Any) -> Ids:
    await c.gamification_config.install_defaults()
    account = str(ObjectId())
    return {"user": (await c.users.create(auth_user_id=account)).id, "account": account}


def _of_user(ids: Ids) -> dict[str, dict[str, Any]]:
    return {"memberships": {"userId": ids["user"]}, "points": {"userId": ids["user"]}}


async def _course(c: Any, _s: Any) -> Ids:
    (user,) = await people(c, 1)
    course = await c.courses.create(title="Course")
    module, other = [await c.modules.create(course.id, title) for title in ("Module", "Other")]
    kept, lesson = [await c.lessons.create(module.id, title) for title in ("Kept", "Lesson")]
    elsewhere = await c.lessons.create(other.id, "Elsewhere")
    await c.courses.publish(course.id)
    await c.enrollments.enroll(user.id, course.id)
    ids = {"user": user, "course": course, "module": module, "other": other, "lesson": lesson, "elsewhere": elsewhere}
    return {name: document.id for name, document in ids.items()} | {"kept": kept.id}


def _of_module(ids: Ids) -> dict[str, dict[str, Any]]:
    return {"lessons": {"moduleId": ids["module"]}, **_of_lesson(ids)}


def _of_lesson(ids: Ids) -> dict[str, dict[str, Any]]:
    return {"lessonProgress": {"lessonId": ids["lesson"]}, "enrollments": {"lastLessonId": ids["lesson"]}}


def _of_enrollment(ids: Ids) -> dict[str, dict[str, Any]]:
    return {"lessonProgress": {"userId": ids["user"]}}


async def _conversation(c: Any, _s: Any) -> Ids:
    one, other = await people(c, 2)
    return {"user": one.id, "conversation": (await c.conversations.open(one.id, other.id)).id}


def _of_conversation(ids: Ids) -> dict[str, dict[str, Any]]:
    return {"messages": {"conversationId": ids["conversation"]}}


async def _story(_c: Any, s: Any) -> Ids:
    story = await s.stories.create("Story")
    chapter = (await s.chapters.in_story(story.id))[0]
    scenes = [await s.scenes.create(chapter.id, "outline") for _ in range(2)]
    return {"story": story.id, "chapter": chapter.id, "scene": scenes[0].id}


def _of_story(ids: Ids) -> dict[str, dict[str, Any]]:
    return {table: {"storyId": ids["story"]} for table in ("chapters", "scenes", "characters")}


def _of_chapter(ids: Ids) -> dict[str, dict[str, Any]]:
    return {"scenes": {"chapterId": ids["chapter"]}}


def _remove(repository: str, kind: str) -> Act:
    async def remove(c: Any, s: Any, ids: Ids) -> None:
        await (getattr(c, repository, None) or getattr(s, repository)).delete(ids[kind])

    return remove


async def _pay(c: Any, _s: Any, ids: Ids) -> None:
    event: Any = {"event_id": "evt", "created": 5, "customer_id": f"cus_{ids['user']}", "status": "active"}
    await c.memberships.apply_stripe_event(user_id=ids["user"], **event)


async def _log_in(c: Any, _s: Any, ids: Ids) -> None:
    await c.users.ensure(ids["account"])


MEMBERSHIPS: dict[str, Act] = {
    "memberships.ensure": lambda c, _, ids: c.memberships.ensure(ids["user"]),
    "memberships.apply_stripe_event": _pay,
    "users.ensure": _log_in,
    "points.award": lambda c, _, ids: c.points.award(ids["user"], "post"),
}
LESSONS: dict[str, Act] = {
    "lessons.create": lambda c, _, ids: c.lessons.create(ids["module"], "New"),
    "lessons.move": lambda c, _, ids: c.lessons.move(ids["elsewhere"], ids["module"]),
    "lesson_progress.complete": lambda c, _, ids: c.lesson_progress.complete(ids["user"], ids["lesson"]),
    "enrollments.open_lesson": lambda c, _, ids: c.enrollments.open_lesson(ids["user"], ids["lesson"]),
}
SCENES: dict[str, Act] = {
    "scenes.create": lambda _, s, ids: s.scenes.create(ids["chapter"], "outline"),
    "scenes.move": lambda _, s, ids: s.scenes.move(ids["scene"], 2),
    "scenes.delete": lambda _, s, ids: s.scenes.delete(ids["scene"]),
}
CHARACTERS: dict[str, Act] = {
    "characters.create": lambda _, s, ids: s.characters.create(ids["story"], name="Ada", traits="brave"),
}


def _pairs(world: Any, removal: str, kind: str, left: Any, makers: dict[str, Act]) -> list[Pair]:
    remove = _remove(removal, kind)
    return [Pair(f"{name} and {removal}.delete", world, make, remove, left) for name, make in makers.items()]


PAIRS = [
    *_pairs(_user, "users", "user", _of_user, MEMBERSHIPS),
    *_pairs(_course, "modules", "module", _of_module, LESSONS),
    *_pairs(_course, "lessons", "lesson", _of_lesson, dict(list(LESSONS.items())[2:])),
    *_pairs(
        _conversation,
        "conversations",
        "conversation",
        _of_conversation,
        {
            "messages.send": lambda c, _, ids: c.messages.send(ids["conversation"], ids["user"], "hi"),
        },
    ),
    *_pairs(_story, "stories", "story", _of_story, SCENES | CHARACTERS),
    *_pairs(_story, "chapters", "chapter", _of_chapter, SCENES),
    Pair(
        "lesson_progress.complete and enrollments.withdraw",
        _course,
        LESSONS["lesson_progress.complete"],
        lambda c, _, ids: c.enrollments.withdraw(ids["user"], ids["course"]),
        _of_enrollment,
    ),
]


async def _orphans(database: Any, filters: dict[str, dict[str, Any]]) -> list[str]:
    return [table for table, filter in filters.items() if await database[table].find_one(filter) is not None]


@pytest.mark.parametrize("removal_is_held", [False, True])
@pytest.mark.parametrize("pair", PAIRS, ids=str)
@pytest.mark.share(3)
async def test_no_orphan_is_left(two: Two, pair: Pair, *, removal_is_held: bool) -> None:
    """Whichever of the two is held at whichever of its commands: the parent is gone, and all that is in it."""
    calls = (pair.remove, pair.make) if removal_is_held else (pair.make, pair.remove)
    for at in count():
        ids = await pair.world(*two.second)
        first, second = (partial(call, *where, ids) for call, where in zip(calls, (two.first, two.second), strict=True))
        results = await two.interleave(first, second, at)
        if results is None:
            assert at
            return
        removed = results[0 if removal_is_held else 1]
        assert not isinstance(removed, Exception), f"at {at}: {removed!r}"
        assert await _orphans(two.second[0].database, pair.left(ids)) == [], f"at {at}: {results}"
        found = await violations(two.second[0].database)
        # Chapters are not made again.
        assert [sentence for sentence in found if not sentence.startswith("stories_have_all_chapters")] == []
