"""Whatever happens one after the other, both backends give the same answers and have the same documents."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Any

import pytest
from bson import ObjectId
from hypothesis import given, settings
from hypothesis import strategies as st
from pymongo import AsyncMongoClient

from datalayer import Community
from datalayer.errors import DataLayerError, NotSupportedInMemory
from datalayer.testing.memory import open_in_memory
from tests.contract.twins import Outcome

NOBODY = ObjectId(bytes(12))


class Clock:
    """One time for both."""

    now = 1_000

    def __call__(self) -> int:
        """A millisecond more at every step, not at every call."""
        return self.now


class Side:
    """One of the two, with the ids of what was made there."""

    def __init__(self, db: Community) -> None:
        self.db = db
        self.made: dict[str, list[Any]] = {}

    async def do(self, step: tuple[str, int, int]) -> object:
        """Take the step; its answer or error."""
        name, one, other = step
        (first, second), call = STEPS[name]
        try:
            answer = await call(self.db, self._pick(first, one), self._pick(second, other))
        except NotSupportedInMemory:
            raise
        except DataLayerError as error:
            return error
        if name in MAKES:
            self.made.setdefault(MAKES[name], []).append(answer.id)
        return answer

    async def rows(self) -> list[Any]:
        """All documents."""
        tables = [self.db.database[document.Settings.name] for document in Community.documents]
        return [await table.find({}, sort={"_id": 1}).to_list() for table in tables]

    def _pick(self, table: str, number: int) -> Any:
        made = [*self.made.get(table, ()), NOBODY]
        return made[number % len(made)]


MAKES = {"join": "users", "found": "spaces", "write": "posts", "comment": "comments", "open": "conversations"}

STEPS: dict[str, tuple[tuple[str, str], Callable[[Community, Any, Any], Awaitable[Any]]]] = {
    "join": (("users", "users"), lambda db, _, __: db.users.create(name="Ada")),
    "rename": (("users", "users"), lambda db, user, _: db.users.update_profile(user, name="Bea")),
    "leave": (("users", "users"), lambda db, user, _: db.users.delete(user)),
    "found": (("spaces", "spaces"), lambda db, _, __: db.spaces.create(name="General")),
    "close": (("spaces", "spaces"), lambda db, space, _: db.spaces.delete(space)),
    "reopen": (("spaces", "spaces"), lambda db, space, _: db.spaces.restore(space)),
    "spaces": (("spaces", "spaces"), lambda db, _, __: db.spaces.list(include_deleted=True)),
    "write": (("spaces", "users"), lambda db, space, user: db.posts.create(space, user, content="x", content_html="x")),
    "pin": (("posts", "posts"), lambda db, post, _: db.posts.pin(post)),
    "remove": (("posts", "posts"), lambda db, post, _: db.posts.delete(post)),
    "feed": (("spaces", "spaces"), lambda db, space, _: db.posts.feed(space, limit=2)),
    "recent": (("spaces", "spaces"), lambda db, _, __: db.posts.recent(limit=2)),
    "visit": (("users", "spaces"), lambda db, user, space: db.space_visits.record(user, space)),
    "comment": (("posts", "users"), lambda db, post, user: db.comments.create(post, user, "Yes")),
    "follow": (("users", "users"), lambda db, one, other: db.follows.follow(one, other)),
    "following": (("users", "users"), lambda db, user, _: db.posts.following(user, limit=2)),
    "report": (("users", "posts"), lambda db, user, post: db.reports.file(user, "post", post, "spam")),
    "open": (("users", "users"), lambda db, one, other: db.conversations.open(one, other)),
    "send": (("conversations", "users"), lambda db, conversation, user: db.messages.send(conversation, user, "Hi")),
    "inbox": (("users", "users"), lambda db, user, _: db.conversations.inbox(user, limit=2)),
    "tell": (("users", "users"), lambda db, one, other: db.notifications.notify(one, "x", actor_id=other, gather="x")),
    "read": (("users", "users"), lambda db, user, _: db.notifications.mark_all_read(user)),
    "ensure": (("users", "users"), lambda db, user, _: db.memberships.ensure(user)),
}


@pytest.fixture(scope="module")
async def clock() -> Clock:
    """The time on both sides."""
    return Clock()


@pytest.fixture(scope="module")
async def histories(client: AsyncMongoClient, clock: Clock) -> AsyncIterator[Community]:
    """A community on the server."""
    async with Community.over(client["histories"], clock=clock) as community:
        yield community
    await client.drop_database("histories")


steps = st.tuples(st.sampled_from(list(STEPS)), st.integers(0, 3), st.integers(0, 3))


@settings(max_examples=settings().max_examples // 5)
@given(st.lists(steps, min_size=10, max_size=25))
async def test_the_same_history(histories: Community, clock: Clock, taken: Iterable[tuple[str, int, int]]) -> None:
    """Every answer and error, and in the end every document."""
    for document in Community.documents:
        await histories.database[document.Settings.name].delete_many({})
    async with open_in_memory(Community, clock=clock) as community:
        there, here = Side(histories), Side(community)
        beginning = [("join", 0, 0), ("join", 0, 0), ("found", 0, 0), ("write", 0, 0)]
        answers: list[list[object]] = [[], []]
        for step in [*beginning, *taken]:
            clock.now += 1
            for side, given_answers in zip((there, here), answers, strict=True):
                given_answers.append(await side.do(step))
        outcomes = [
            Outcome([*found, await side.rows()], {}) for side, found in zip((there, here), answers, strict=True)
        ]
        assert outcomes[1].canonical({NOBODY}) == outcomes[0].canonical({NOBODY})
