"""Whatever many tasks do at once, every copy and every counter is what the rows say."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest
from bson import ObjectId
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from datalayer import Community
from datalayer.engine.clock import DAY, HOUR
from datalayer.errors import AlreadyExistsError, InvalidInputError, NotFoundError, RuleViolationError
from tests.community.world import people
from tests.seeding.invariants import violations

TASKS = 6


class World:
    """What there is to act on, by kind; tasks add to it while others pick from it."""

    def __init__(self, community: Community) -> None:
        self.community = community
        self._ids: defaultdict[str, list[Any]] = defaultdict(list)

    def pick(self, kind: str, number: int) -> Any:
        """One of that kind, or one that there is not."""
        ids = self._ids[kind]
        return ids[number % len(ids)] if ids else ObjectId()

    def target(self, number: int) -> tuple[Any, Any]:
        """What a like or a report points at."""
        kind = "post" if number % 3 else "comment"
        return kind, self.pick(kind, number)

    async def add(self, kind: str, making: Awaitable[Any]) -> None:
        """Make one more."""
        self._ids[kind].append((await making).id)

    async def post(self, a: int, b: int) -> Any:
        """Write a post."""
        place = self.pick("space", a), self.pick("user", b)
        return await self.community.posts.create(*place, content="c", content_html="c")


Operation = Callable[[World, int, int], Awaitable[Any]]


async def _post_and_reward(world: World, a: int, b: int) -> None:
    """Three repositories in one transaction."""

    async def work() -> Any:
        post = await world.post(a, b)
        await world.community.likes.like(world.pick("user", a), "post", post.id)
        await world.community.points.award(
            world.pick("user", b), "post", reference_type="post", reference_id=str(post.id)
        )
        if (a + b) % 4 == 0:
            raise NotFoundError
        return post

    await world.add("post", world.community.transaction(work))


def _comment(world: World, a: int, b: int) -> Awaitable[Any]:
    parent = world.pick("comment", b) if b % 2 else None
    return world.community.comments.create(world.pick("post", a), world.pick("user", b), "c", parent_id=parent)


def _turned(items: list[Any], by: int) -> list[Any]:
    by = by % (len(items) or 1)
    return [item.id for item in items[by:] + items[:by]]


async def _reorder_spaces(world: World, a: int, _: int) -> None:
    await world.community.spaces.reorder(_turned(await world.community.spaces.list(), a))


async def _reorder_modules(world: World, a: int, b: int) -> None:
    course = world.pick("course", a)
    await world.community.modules.reorder(course, _turned(await world.community.modules.in_course(course), b))


async def _reorder_lessons(world: World, a: int, b: int) -> None:
    module = world.pick("module", a)
    await world.community.lessons.reorder(module, _turned(await world.community.lessons.in_module(module), b))


CONTENT: dict[str, Operation] = {
    "post": lambda w, a, b: w.add("post", w.post(a, b)),
    "comment": lambda w, a, b: w.add("comment", _comment(w, a, b)),
    "post and reward": _post_and_reward,
    "toggle": lambda w, a, b: w.community.likes.toggle(w.pick("user", a), *w.target(b)),
    "like": lambda w, a, b: w.community.likes.like(w.pick("user", a), *w.target(b)),
    "unlike": lambda w, a, b: w.community.likes.unlike(w.pick("user", a), *w.target(b)),
    "delete post": lambda w, a, _: w.community.posts.delete(w.pick("post", a)),
    "restore post": lambda w, a, _: w.community.posts.restore(w.pick("post", a)),
    "delete comment": lambda w, a, _: w.community.comments.delete(w.pick("comment", a)),
    "restore comment": lambda w, a, _: w.community.comments.restore(w.pick("comment", a)),
    "pin": lambda w, a, _: w.community.posts.pin(w.pick("post", a)),
    "unpin": lambda w, a, _: w.community.posts.unpin(w.pick("post", a)),
    "rename": lambda w, a, b: w.community.users.update_profile(w.pick("user", a), name=f"Name {b}" if b % 5 else None),
    "follow": lambda w, a, b: w.community.follows.follow(w.pick("user", a), w.pick("user", b)),
    "unfollow": lambda w, a, b: w.community.follows.unfollow(w.pick("user", a), w.pick("user", b)),
    "report": lambda w, a, b: w.community.reports.file(w.pick("user", a), *w.target(b), "spam"),
    "resolve": lambda w, a, b: w.community.reports.resolve(*w.target(b), resolver_id=w.pick("user", a)),
    "visit": lambda w, a, b: w.community.space_visits.record(w.pick("user", a), w.pick("space", b)),
    "role": lambda w, a, b: w.community.users.set_role(w.pick("user", a), "admin" if b % 2 else "member"),
    "space": lambda w, a, _: w.add("space", w.community.spaces.create(name=f"Space {a}")),
    "delete space": lambda w, a, _: w.community.spaces.delete(w.pick("space", a)),
    "restore space": lambda w, a, _: w.community.spaces.restore(w.pick("space", a)),
    "reorder spaces": _reorder_spaces,
}

LEARNING: dict[str, Operation] = {
    "module": lambda w, a, _: w.add("module", w.community.modules.create(w.pick("course", a), "m")),
    "lesson": lambda w, a, _: w.add("lesson", w.community.lessons.create(w.pick("module", a), "l")),
    "delete module": lambda w, a, _: w.community.modules.delete(w.pick("module", a)),
    "delete lesson": lambda w, a, _: w.community.lessons.delete(w.pick("lesson", a)),
    "move": lambda w, a, b: w.community.lessons.move(w.pick("lesson", a), w.pick("module", b)),
    "reorder modules": _reorder_modules,
    "reorder lessons": _reorder_lessons,
    "enroll": lambda w, a, b: w.community.enrollments.enroll(w.pick("user", a), w.pick("course", b)),
    "withdraw": lambda w, a, b: w.community.enrollments.withdraw(w.pick("user", a), w.pick("course", b)),
    "open": lambda w, a, b: w.community.enrollments.open_lesson(w.pick("user", a), w.pick("lesson", b)),
    "complete": lambda w, a, b: w.community.lesson_progress.complete(w.pick("user", a), w.pick("lesson", b)),
    "complete more": lambda w, a, b: w.community.lesson_progress.complete(w.pick("user", b), w.pick("lesson", a)),
    "reopen": lambda w, a, b: w.community.lesson_progress.reopen(w.pick("user", a), w.pick("lesson", b)),
    "publish": lambda w, a, _: w.community.courses.publish(w.pick("course", a)),
    "unpublish": lambda w, a, _: w.community.courses.unpublish(w.pick("course", a)),
    "delete course": lambda w, a, _: w.community.courses.delete(w.pick("course", a)),
    "restore course": lambda w, a, _: w.community.courses.restore(w.pick("course", a)),
}

SOCIAL: dict[str, Operation] = {
    "going": lambda w, a, b: w.community.rsvps.set(w.pick("user", a), w.pick("event", b), "going"),
    "maybe": lambda w, a, b: w.community.rsvps.set(w.pick("user", a), w.pick("event", b), "maybe"),
    "withdraw": lambda w, a, b: w.community.rsvps.withdraw(w.pick("user", a), w.pick("event", b)),
    "capacity": lambda w, a, b: w.community.events.update(w.pick("event", a), capacity=b or None),
    "delete event": lambda w, a, _: w.community.events.delete(w.pick("event", a)),
    "restore event": lambda w, a, _: w.community.events.restore(w.pick("event", a)),
    "conversation": lambda w, a, b: w.add(
        "conversation", w.community.conversations.open(w.pick("user", a), w.pick("user", b))
    ),
    "send": lambda w, a, b: w.add(
        "message", w.community.messages.send(w.pick("conversation", a), w.pick("user", b), f"{a} to {b}")
    ),
    "send more": lambda w, a, b: w.add(
        "message", w.community.messages.send(w.pick("conversation", b), w.pick("user", a), "more")
    ),
    "delete message": lambda w, a, _: w.community.messages.delete(w.pick("message", a)),
    "restore message": lambda w, a, _: w.community.messages.restore(w.pick("message", a)),
    "read": lambda w, a, b: w.community.messages.mark_read(w.pick("conversation", a), w.pick("user", b)),
    "rename": lambda w, a, b: w.community.users.update_profile(w.pick("user", a), name=f"Name {b}"),
    "award": lambda w, a, b: w.community.points.award(
        w.pick("user", a), "post", reference_type="post", reference_id=f"{b}"
    ),
    "reward": lambda w, a, _: w.community.points.award(w.pick("user", a), "comment"),
    "levels": lambda w, a, b: w.community.levels.replace(
        [{"name": f"{n}", "threshold": n * (a + b + 3)} for n in range(a + 3)]
    ),
    "ensure": lambda w, a, _: w.community.memberships.ensure(w.pick("user", a)),
    "stripe": lambda w, a, b: w.community.memberships.apply_stripe_event(
        event_id=f"evt_{a}", created=a, user_id=w.pick("user", b), customer_id=f"cus_{a}", status="active", tier="pro"
    ),
    "notify": lambda w, a, b: w.community.notifications.notify(w.pick("user", a), "x", actor_id=w.pick("user", b)),
    "gather": lambda w, a, b: w.community.notifications.notify(
        w.pick("user", a), "x", actor_id=w.pick("user", b), gather="x"
    ),
    "notify many": lambda w, a, b: w.community.notifications.notify_many(w._ids["user"], "x", once=f"{a % 2} {b % 2}"),
    "read notifications": lambda w, a, _: w.community.notifications.mark_all_read(w.pick("user", a)),
}

programs = {
    name: st.lists(st.tuples(st.sampled_from(sorted(operations)), st.integers(0, 7), st.integers(0, 7)), max_size=60)
    for name, operations in (("content", CONTENT), ("learning", LEARNING), ("social", SOCIAL))
}


async def run(world: World, operations: dict[str, Operation], program: list[tuple[str, int, int]]) -> None:
    """Share the program out among tasks; the errors that a rule or a missing document gives are part of it."""

    async def task(number: int) -> None:
        for name, a, b in program[number::TASKS]:
            # Invalid input: an order may have changed since it was read; a parent is of another post.
            with suppress(NotFoundError, RuleViolationError, AlreadyExistsError, InvalidInputError):
                await operations[name](world, a, b)

    await asyncio.gather(*(task(number) for number in range(TASKS)))


@pytest.fixture
async def world(community: Community) -> World:
    """Four people, one of them an admin."""
    return World(community)


async def _people(world: World) -> None:
    for name in await world.community.database.list_collection_names():
        await world.community.database[name].delete_many({})
    world._ids.clear()
    for user in await people(world.community, 4):
        world._ids["user"].append(user.id)
    await world.community.users.set_role(world.pick("user", 0), "admin")
    await world.community.gamification_config.install_defaults()


_slow = settings(max_examples=settings().max_examples // 3, suppress_health_check=[HealthCheck.function_scoped_fixture])


@_slow
@given(program=programs["content"])
async def test_content(world: World, program: list[tuple[str, int, int]]) -> None:
    """Posts, comments, likes, pins, names, reports, spaces and roles."""
    await _people(world)
    for number in range(3):
        await CONTENT["space"](world, number, 0)
        await CONTENT["post"](world, number, number)
    await run(world, CONTENT, program)
    assert await violations(world.community.database, needs_admin=True) == []


@_slow
@given(program=programs["learning"])
async def test_learning(world: World, program: list[tuple[str, int, int]]) -> None:
    """Courses with modules and lessons that come and go while people take them."""
    await _people(world)
    # An hour ago, so that these lessons are clearly older than whatever is completed.
    then = world.community._connection.now() - HOUR
    async with Community.over(world.community.database, schema="skip", clock=lambda: then) as past:
        for number in range(2):
            await world.add("course", past.courses.create(title=f"Course {number}"))
            await past.courses.publish(world.pick("course", number))
            for _ in range(2):
                await world.add("module", past.modules.create(world.pick("course", number), "m"))
                await world.add("lesson", past.lessons.create(world.pick("module", -1), "l"))
            for user in range(3):
                await past.enrollments.enroll(world.pick("user", user), world.pick("course", number))
    await run(world, LEARNING, program)
    assert await violations(world.community.database) == []


@_slow
@given(program=programs["social"])
async def test_social(world: World, program: list[tuple[str, int, int]]) -> None:
    """Events with few seats, conversations, points and levels, memberships."""
    await _people(world)
    now = world.community._connection.now()
    for capacity in (1, 2, None):
        event = world.community.events.create(
            title="e", start_time=now + DAY, end_time=now + 2 * DAY, capacity=capacity
        )
        await world.add("event", event)
    await SOCIAL["conversation"](world, 0, 1)
    await run(world, SOCIAL, program)
    assert await violations(world.community.database) == []
