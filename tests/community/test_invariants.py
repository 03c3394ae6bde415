"""Whatever many tasks do at once, every copy and every counter is what the rows say."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from bson import ObjectId
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from datalayer import Community
from datalayer.errors import AlreadyExistsError, InvalidInputError, NotFoundError, RuleViolationError
from tests.community.world import people
from tests.seeding.invariants import violations

TASKS = 6


@dataclass
class World:
    """What there is to act on; tasks add to it while others pick from it."""

    community: Community
    users: list[Any]
    spaces: list[Any]
    posts: list[Any] = field(default_factory=list)
    comments: list[Any] = field(default_factory=list)

    def user(self, number: int) -> Any:
        """One of the users."""
        return self.users[number % len(self.users)]

    def space(self, number: int) -> Any:
        """One of the spaces."""
        return self.spaces[number % len(self.spaces)]

    def post(self, number: int) -> Any:
        """One of the posts, or one that there is not."""
        return self.posts[number % len(self.posts)] if self.posts else ObjectId()

    def comment(self, number: int) -> Any:
        """One of the comments, or one that there is not."""
        return self.comments[number % len(self.comments)] if self.comments else ObjectId()

    def target(self, number: int) -> tuple[Any, Any]:
        """What a like or a report points at."""
        return ("post", self.post(number)) if number % 3 else ("comment", self.comment(number))


async def _write_post(world: World, a: int, b: int) -> None:
    post = await world.community.posts.create(world.space(a), world.user(b), content="c", content_html="c")
    world.posts.append(post.id)


async def _write_comment(world: World, a: int, b: int) -> None:
    parent = world.comment(b) if b % 2 and world.comments else None
    comment = await world.community.comments.create(world.post(a), world.user(b), "c", parent_id=parent)
    world.comments.append(comment.id)


async def _post_and_like(world: World, a: int, b: int) -> None:
    """Two repositories in one transaction."""

    async def work() -> ObjectId:
        post = await world.community.posts.create(world.space(a), world.user(b), content="c", content_html="c")
        await world.community.likes.like(world.user(a), "post", post.id)
        if (a + b) % 4 == 0:
            raise NotFoundError
        return post.id

    world.posts.append(await world.community.transaction(work))


async def _make_space(world: World, a: int, _: int) -> None:
    world.spaces.append((await world.community.spaces.create(name=f"Space {a}")).id)


async def _reorder(world: World, a: int, _: int) -> None:
    spaces = await world.community.spaces.list()
    await world.community.spaces.reorder([item.id for item in spaces[a % len(spaces) :] + spaces[: a % len(spaces)]])


Operation = Callable[[World, int, int], Awaitable[Any]]
CONTENT: dict[str, Operation] = {
    "post": _write_post,
    "comment": _write_comment,
    "post and like": _post_and_like,
    "toggle": lambda w, a, b: w.community.likes.toggle(w.user(a), *w.target(b)),
    "like": lambda w, a, b: w.community.likes.like(w.user(a), *w.target(b)),
    "unlike": lambda w, a, b: w.community.likes.unlike(w.user(a), *w.target(b)),
    "delete post": lambda w, a, _: w.community.posts.delete(w.post(a)),
    "restore post": lambda w, a, _: w.community.posts.restore(w.post(a)),
    "delete comment": lambda w, a, _: w.community.comments.delete(w.comment(a)),
    "restore comment": lambda w, a, _: w.community.comments.restore(w.comment(a)),
    "pin": lambda w, a, _: w.community.posts.pin(w.post(a)),
    "unpin": lambda w, a, _: w.community.posts.unpin(w.post(a)),
    "rename": lambda w, a, b: w.community.users.update_profile(w.user(a), name=f"Name {b}" if b % 5 else None),
    "follow": lambda w, a, b: w.community.follows.follow(w.user(a), w.user(b)),
    "unfollow": lambda w, a, b: w.community.follows.unfollow(w.user(a), w.user(b)),
    "report": lambda w, a, b: w.community.reports.file(w.user(a), *w.target(b), "spam"),
    "resolve": lambda w, a, b: w.community.reports.resolve(*w.target(b), resolver_id=w.user(a)),
    "visit": lambda w, a, b: w.community.space_visits.record(w.user(a), w.space(b)),
    "role": lambda w, a, b: w.community.users.set_role(w.user(a), "admin" if b % 2 else "member"),
    "space": _make_space,
    "delete space": lambda w, a, _: w.community.spaces.delete(w.space(a)),
    "restore space": lambda w, a, _: w.community.spaces.restore(w.space(a)),
    "reorder": _reorder,
}


def programs(operations: dict[str, Operation]) -> st.SearchStrategy[list[tuple[str, int, int]]]:
    """A list of operations with what they pick."""
    return st.lists(st.tuples(st.sampled_from(sorted(operations)), st.integers(0, 7), st.integers(0, 7)), max_size=60)


async def run(world: World, operations: dict[str, Operation], program: list[tuple[str, int, int]]) -> None:
    """Share the program out among tasks; the errors that a rule or a missing document gives are part of it."""

    async def task(number: int) -> None:
        for name, a, b in program[number::TASKS]:
            # Invalid input: the order of the spaces may have changed since it was read; a parent is of another post.
            with suppress(NotFoundError, RuleViolationError, AlreadyExistsError, InvalidInputError):
                await operations[name](world, a, b)

    await asyncio.gather(*(task(number) for number in range(TASKS)))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(program=programs(CONTENT))
async def test_content(community: Community, program: list[tuple[str, int, int]]) -> None:
    """Posts, comments, likes, pins, names, reports, spaces and roles."""
    for name in ("users", "spaces", "posts", "comments", "likes", "follows", "reports", "spaceVisits"):
        await community.database[name].delete_many({})
    users = [user.id for user in await people(community, 4)]
    await community.users.set_role(users[0], "admin")
    spaces = [(await community.spaces.create(name=f"{number}")).id for number in range(3)]
    world = World(community, users, spaces)
    for number in range(3):
        await _write_post(world, number, number)
    await run(world, CONTENT, program)
    assert await violations(community.database, needs_admin=True) == []
