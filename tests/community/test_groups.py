"""Concurrent requests for one document share a transaction, and each gets what it would get alone."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import pytest
from bson import ObjectId
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from datalayer import Community
from datalayer.engine.clock import DAY
from datalayer.engine.document import Document
from datalayer.errors import DataLayerError, NotAParticipantError, NotFoundError
from datalayer.ids import CommentId, ConversationId, CourseId, EventId, PostId, SpaceId, UserId
from datalayer.repositories.points import Award
from datalayer.repositories.shared.awards import Cause, Change, change_points
from datalayer.testing import count_commands
from tests.community.world import people, person, post, space
from tests.seeding.invariants import violations

NOBODY = UserId(ObjectId())
CONTENT = {"content": "c", "content_html": "c"}

Request = Callable[[], Awaitable[Any]]


class Draw:
    """Picks by the numbers that Hypothesis gave."""

    def __init__(self, numbers: Sequence[int]) -> None:
        self._numbers = iter(numbers)

    def of(self, *choices: Any) -> Any:
        """One of the choices."""
        return choices[next(self._numbers) % len(choices)]


@dataclass(frozen=True)
class Scene:
    """What requests of one kind meet.

    Attributes:
        keys: The documents that a whole group may be about; some are missing or deleted.
        request: A request about one of them.
        tables: What the requests write to.
    """

    keys: Sequence[Any]
    request: Callable[[Community, Any, Draw], Request]
    tables: Sequence[str]


BOTH: Any = {"reward": True, "notify": True}
WANTED: Any = ({}, BOTH, {"reward": True}, {"notify": True})
"""Which consequences a request asks for."""

CONSEQUENCES = ["users", "points", "notifications"]


async def _rules(c: Community, action: str) -> None:
    """Points for the action, so that two or three of them lead to a level."""
    await c.levels.install_defaults()
    await c.gamification_config.set(action, 30)


async def _messages(c: Community) -> Scene:
    one, other, gone, stranger = await people(c, 4)
    talks = [(await c.conversations.open(one.id, user.id)).id for user in (other, gone)]
    await c.messages.send(talks[0], one.id, "before")
    await c.users.delete(gone.id)
    senders = (one.id, one.id, other.id, gone.id, stranger.id, NOBODY)

    def request(c: Community, key: Any, draw: Draw) -> Request:
        sender, text, notify = draw.of(*senders), draw.of("a", "b" * 200), draw.of(True, False)
        return lambda: c.messages.send(key, sender, text, notify=notify)

    tables = ["users", "conversations", "messages", "notifications"]
    return Scene([*talks, *talks, ConversationId(ObjectId())], request, tables)


async def _comments(c: Community) -> Scene:
    await _rules(c, "comment")
    authors = await people(c, 2)
    posts = [await post(c) for _ in range(3)]
    top, removed = [await c.comments.create(posts[0].id, authors[0].id, text) for text in ("top", "removed")]
    foreign = await c.comments.create(posts[1].id, authors[0].id, "foreign")
    reply, orphan = [await c.comments.create(posts[0].id, authors[1].id, "r", parent_id=it.id) for it in (top, removed)]
    await c.comments.delete(removed.id)
    await c.posts.delete(posts[2].id)
    parents = [None, None, None, *(it.id for it in (top, reply, removed, orphan, foreign)), CommentId(ObjectId())]

    def request(c: Community, key: Any, draw: Draw) -> Request:
        author, parent = draw.of(*(author.id for author in authors), NOBODY), draw.of(*parents)
        wanted, ids = draw.of(*WANTED), [authors[1].id, NOBODY, posts[0].author_id]
        return lambda: c.comments.create(key, author, "c", parent_id=parent, mention_ids=ids, **wanted)

    tables = ["posts", "comments", *CONSEQUENCES]
    return Scene([*(it.id for it in (posts[0], *posts)), PostId(ObjectId())], request, tables)


async def _likes(c: Community) -> Scene:
    await _rules(c, "like_received")
    users, target = await people(c, 3), await post(c)
    comment = await c.comments.create(target.id, users[0].id, "top")
    keys = [("post", target.id), ("comment", comment.id), ("post", PostId(ObjectId()))]

    def request(c: Community, key: Any, draw: Draw) -> Request:
        user, wanted = draw.of(*(it.id for it in users), target.author_id, NOBODY), draw.of(*WANTED)
        return lambda: c.likes.like(user, *key, **wanted)

    return Scene([*keys[:2], *keys], request, ["posts", "comments", "likes", *CONSEQUENCES])


async def _posts(c: Community) -> Scene:
    await _rules(c, "post")
    author, other = await people(c, 2)
    spaces = [await space(c) for _ in range(3)]
    await c.spaces.delete(spaces[2].id)

    def request(c: Community, key: Any, draw: Draw) -> Request:
        where, title = draw.of(*(it.id for it in spaces), SpaceId(ObjectId("0" * 24))), draw.of(None, "t")
        wanted, ids = draw.of(*WANTED), [other.id, other.id, NOBODY, author.id]
        return lambda: c.posts.create(where, key, title=title, mention_ids=ids, **CONTENT, **wanted)

    return Scene([author.id, author.id, NOBODY], request, ["posts", *CONSEQUENCES])


async def _points(c: Community) -> Scene:
    await c.levels.install_defaults()
    await c.gamification_config.set("post", 60)
    await c.gamification_config.set("comment", 30)
    await c.gamification_config.set("nothing", 0)
    user = await person(c)
    await c.points.award(user.id, "post", reference_type="post", reference_id="1")

    def request(c: Community, key: Any, draw: Draw) -> Request:
        action, id = draw.of("post", "post", "comment", "nothing", "unknown"), draw.of("1", "2")
        kind = draw.of("award", "award", "revoke", "again")
        if kind == "again":
            return lambda: c.points.award(key, action)
        verb = c.points.award if kind == "award" else c.points.revoke
        return lambda: verb(key, action, reference_type="post", reference_id=id)

    return Scene([user.id, user.id, user.id, NOBODY], request, ["users", "points"])


async def _enrollments(c: Community) -> Scene:
    await _rules(c, "enroll")
    users = await people(c, 3)
    courses = [await c.courses.create(title="Sailing") for _ in range(3)]
    for course in courses[:2]:
        await c.courses.publish(course.id)
        await c.enrollments.enroll(users[0].id, course.id)
    await c.courses.unpublish(courses[1].id)

    def request(c: Community, key: Any, draw: Draw) -> Request:
        user, wanted = draw.of(*(it.id for it in users), NOBODY), draw.of(*WANTED)
        return lambda: c.enrollments.enroll(user, key, **wanted)

    tables = ["courses", "enrollments", *CONSEQUENCES]
    return Scene([courses[0].id, *(it.id for it in courses), CourseId(ObjectId())], request, tables)


async def _rsvps(c: Community) -> Scene:
    await _rules(c, "rsvp")
    users, start = await people(c, 3), c.clock() + DAY
    event = await c.events.create(title="Party", start_time=start, end_time=start + DAY, capacity=1)
    await c.rsvps.set(users[0].id, event.id, "maybe")

    def request(c: Community, key: Any, draw: Draw) -> Request:
        user, status = draw.of(*(it.id for it in users), NOBODY), draw.of("going", "going", "maybe", None)
        wanted = draw.of(*WANTED)
        return lambda: c.rsvps.set(user, key, status, **wanted) if status else c.rsvps.withdraw(user, key)

    return Scene([event.id, event.id, EventId(ObjectId())], request, ["events", "rsvps", *CONSEQUENCES])


SCENES = {
    "messages.send": _messages,
    "comments.create": _comments,
    "likes.like": _likes,
    "posts.create": _posts,
    "points": _points,
    "enrollments.enroll": _enrollments,
    "rsvps": _rsvps,
}

numbers = st.integers(0, 59)

State = Mapping[str, list[dict[str, Any]]]


async def _state(c: Community, tables: Sequence[str]) -> State:
    return {name: await c.database[name].find().sort("_id").to_list() for name in tables}


async def _restore(c: Community, state: State) -> None:
    for name, rows in state.items():
        await c.database[name].delete_many({})
        if rows:
            await c.database[name].insert_many(rows)


def _plain(value: Any, names: Mapping[Any, str]) -> Any:
    """What can be compared: new ids are numbered in their order, and locks leave no trace."""
    if isinstance(value, (ObjectId, str)):
        return names.get(value, value)
    if isinstance(value, Document):
        return _plain(value.to_wire(), names)
    if isinstance(value, Exception):
        return type(value), str(value)
    if is_dataclass(value):
        return [_plain(getattr(value, field.name), names) for field in fields(value)]
    if isinstance(value, dict):
        return {name: _plain(part, names) for name, part in value.items() if name != "revision"}
    return [_plain(part, names) for part in value] if isinstance(value, list) else value


@pytest.mark.parametrize("kind", SCENES)
@settings(max_examples=settings().max_examples * 2 // 3, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(draws=st.lists(st.lists(numbers, min_size=3, max_size=3), min_size=1, max_size=9), at=numbers)
async def test_a_group_is_done_as_one_after_the_other(
    community: Community, scenes: dict[str, tuple[Scene, State]], kind: str, draws: list[list[int]], at: int
) -> None:
    """The same answers, refusals and documents, in one transaction."""
    if kind not in scenes:
        scene = await SCENES[kind](community)
        scenes[kind] = scene, await _state(community, scene.tables)
    scene, pristine = scenes[kind]
    key = scene.keys[at % len(scene.keys)]
    requests = [scene.request(community, key, Draw(numbers)) for numbers in draws]
    outcomes: list[Any] = []
    for is_group in (False, True):
        await _restore(community, pristine)
        with count_commands(community) as commands:
            if is_group:
                answers = await asyncio.gather(*(request() for request in requests), return_exceptions=True)
                commits = [command.name for command in commands].count("commitTransaction")
                assert commits == 1 or len(requests) == 1
            else:
                answers = [(await asyncio.gather(request(), return_exceptions=True))[0] for request in requests]
        after = await _state(community, scene.tables)
        known = {row["_id"] for rows in pristine.values() for row in rows}
        new = {name: [row["_id"] for row in rows if row["_id"] not in known] for name, rows in after.items()}
        # What an answer mentions and was taken back in the same group is in no row.
        new["gone"] = sorted(_ids(answers) - known - {id for ids in new.values() for id in ids})
        ids = [(id, f"{name} {number}") for name, ids in new.items() for number, id in enumerate(ids)]
        names = {**dict(ids), **{str(id): name for id, name in ids}}
        outcomes.append(_plain([answers, dict(after)], names))
        assert await violations(community.database) == []
    assert outcomes[1] == outcomes[0]


def _ids(value: Any) -> set[ObjectId]:
    if isinstance(value, Document):
        return {value.to_wire()["_id"]}
    if is_dataclass(value):
        return {id for field in fields(value) for id in _ids(getattr(value, field.name))}
    return {id for part in value for id in _ids(part)} if isinstance(value, list) else set()


@pytest.fixture
def scenes() -> dict[str, tuple[Scene, State]]:
    """What the examples of one test share."""
    return {}


async def _commands(c: Community, calls: Sequence[Awaitable[Any]]) -> list[str]:
    """What the calls, at once, send for one transaction."""
    with count_commands(c) as commands:
        await asyncio.gather(*calls)
    return [command.name for command in commands]


async def test_a_group_of_messages_takes_the_commands_of_one(community: Community) -> None:
    """And one more to lock two senders; the conversation shows the last message."""
    users = await people(community, 2)
    talk = await community.conversations.open(users[0].id, users[1].id)
    send = community.messages.send
    calls = [send(talk.id, users[number % 2].id, f"{number}") for number in range(32)]
    assert await _commands(community, calls) == ["update", "find", "findAndModify", "insert", "commitTransaction"]
    history = (await community.messages.history(talk.id, reader_id=users[0].id, limit=100)).items
    assert [message.content for message in history[::-1]] == [f"{number}" for number in range(32)]
    assert (await community.conversations.get(talk.id)).last_message_preview == "31"


async def test_a_group_of_messages_goes_behind_those_of_another_process(community: Community) -> None:
    """In the same millisecond another process's id may be the greater one: all of the group are newer than that."""
    users = await people(community, 2)
    talk = await community.conversations.open(users[0].id, users[1].id)
    first = await community.messages.send(talk.id, users[0].id, "first")
    await community.database.messages.insert_one(first.to_wire() | {"_id": ObjectId("f" * 24), "content": "other"})
    sends = (community.messages.send(talk.id, users[1].id, text) for text in "abc")
    sent = await asyncio.gather(*sends)
    assert {message.created_at for message in sent} == {first.created_at + 1}
    history = (await community.messages.history(talk.id, reader_id=users[0].id)).items
    assert [message.content for message in history] == ["c", "b", "a", "other", "first"]
    assert await violations(community.database) == []


async def test_a_group_of_comments_takes_the_commands_of_one(community: Community) -> None:
    """And one more to lock several authors; the post is the first to be written."""
    users, target = await people(community, 16), await post(community)
    create = community.comments.create
    calls = [create(target.id, user.id, "c") for user in users]
    assert await _commands(community, calls) == ["update", "update", "find", "insert", "commitTransaction"]
    top = (await community.comments.thread(target.id)).items[0].comment
    reply = await create(target.id, users[0].id, "r", parent_id=top.id)
    calls = [create(target.id, user.id, "r", parent_id=(top, reply)[n % 2].id) for n, user in enumerate(users)]
    with count_commands(community) as commands:
        await asyncio.gather(*calls)
    names = ["update", "find", "find", "update", "find", "insert", "commitTransaction"]
    assert [command.name for command in commands] == names
    assert commands[0].document["update"] == "posts"
    assert (await community.posts.get(target.id)).comment_count == 33


async def test_a_group_of_posts_takes_the_commands_of_one(community: Community) -> None:
    author, spaces = await person(community), [await space(community) for _ in range(4)]
    calls = [community.posts.create(spaces[number % 4].id, author.id, **CONTENT) for number in range(32)]
    assert await _commands(community, calls) == ["findAndModify", "find", "insert", "commitTransaction"]
    assert len((await community.posts.by_author(author.id, limit=100)).items) == 32


async def test_a_group_of_awards_takes_the_commands_of_one(community: Community) -> None:
    """Each award says what there is after it; a cause given twice counts once, and one award reaches a level."""
    await community.levels.install_defaults()
    await community.gamification_config.set("comment", 20)
    user = await person(community)
    causes = ({"reference_type": "comment", "reference_id": f"{number // 2}"} for number in range(20))
    calls = [community.points.award(user.id, "comment", **cause) for cause in causes]
    with count_commands(community) as commands:
        awards = await asyncio.gather(*calls)
    names = ["aggregate", "find", "update", "insert", "commitTransaction"]
    assert [command.name for command in commands] == names
    levels = [1, 1, 2, 2, 2, 2, 2, 3, 3, 3]
    given = [Award(20, 20 * n, level, levelled_up=n in (3, 8)) for n, level in enumerate(levels, 1)]
    assert awards == [award for one in given for award in (one, None)]
    found = await community.users.get(user.id)
    assert (found.points, found.level) == (200, 3)
    assert await violations(community.database) == []


@pytest.mark.parametrize("kind", SCENES)
async def test_a_caller_that_is_cancelled_is_alone(community: Community, kind: str) -> None:
    """Neither the first one nor one that waits takes others along; what was done is counted."""
    scene = await SCENES[kind](community)
    requests = [scene.request(community, scene.keys[0], Draw([n, n // 2, n // 4])) for n in range(12)]
    tasks = [asyncio.ensure_future(request()) for request in requests]
    await asyncio.sleep(0)
    for cancelled in (tasks[0], tasks[5]):
        cancelled.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [isinstance(result, asyncio.CancelledError) for result in results] == [n in (0, 5) for n in range(12)]
    others = [result for result in results if isinstance(result, Exception)]
    assert all(isinstance(error, DataLayerError) for error in others)
    assert len(others) < 10
    assert await violations(community.database) == []


@pytest.mark.parametrize("kind", SCENES)
async def test_two_processes_at_once(community: Community, kind: str) -> None:
    """Their groups conflict and are repeated; every answer is one of a request that was done, or refused."""
    scene = await SCENES[kind](community)
    async with Community.over(community.database, schema="skip") as other:
        draws = [Draw([n // 2, n // 3, n // 5]) for n in range(40)]
        requests = [scene.request((community, other)[n % 2], scene.keys[0], draw) for n, draw in enumerate(draws)]
        results = await asyncio.gather(*(request() for request in requests), return_exceptions=True)
    assert all(isinstance(error, DataLayerError) for error in results if isinstance(error, BaseException))
    assert await violations(community.database) == []


@pytest.mark.parametrize("kind", SCENES)
async def test_a_transaction_goes_on_after_a_refusal(community: Community, kind: str) -> None:
    """A request inside `transaction` belongs to it; a refused one has written nothing, and can be caught."""
    scene = await SCENES[kind](community)
    draws = [[n, n // 3, n // 5] for n in range(12)]
    requests = [scene.request(community, key, Draw(numbers)) for key in scene.keys for numbers in draws]
    before = await _state(community, scene.tables)
    refused: list[DataLayerError] = []

    async def work(*, fails: bool) -> State:
        for request in requests:
            try:
                await request()
            except DataLayerError as error:
                refused.append(error)
        if fails:
            raise KeyError
        return await _state(community, scene.tables)

    with pytest.raises(KeyError):
        await community.transaction(lambda: work(fails=True))
    assert await _state(community, scene.tables) == before
    assert 0 < len(refused) < len(requests)
    seen = await community.transaction(lambda: work(fails=False))
    assert await _state(community, scene.tables) == seen
    assert await violations(community.database) == []


async def test_everybody_is_told_the_own_reason(community: Community) -> None:
    """A stranger and a removed sender in the middle of a group; the others' messages are sent."""
    one, other, stranger = await people(community, 3)
    talk = await community.conversations.open(one.id, other.id)
    await community.users.delete(other.id)
    senders = (one, stranger, one, other, stranger)
    sends = (community.messages.send(talk.id, sender.id, f"{n}") for n, sender in enumerate(senders))
    results = await asyncio.gather(*sends, return_exceptions=True)
    kinds = [getattr(result, "content", type(result)) for result in results]
    assert kinds == ["0", NotAParticipantError, "2", NotFoundError, NotAParticipantError]
    assert (await community.conversations.get(talk.id)).last_message_preview == "2"


async def test_what_was_awarded_can_be_revoked(community: Community) -> None:
    """Once, however many ask; points and level follow, also where the rule is another by now; then it counts anew."""
    await community.levels.install_defaults()
    await community.gamification_config.set("post", 60)
    user, other = await people(community, 2)
    cause = {"reference_type": "post", "reference_id": "1"}

    async def now() -> tuple[int, int, int]:
        found = await community.users.get(user.id)
        return found.points, found.level, await community.database.points.count_documents({"userId": user.id})

    async def revoked(id: UserId = user.id, action: str = "post") -> bool:
        return await community.points.revoke(id, action, **cause)

    assert await revoked() is False
    assert await community.points.award(user.id, "post", **cause) == Award(60, 60, 2, levelled_up=True)
    await community.gamification_config.set("post", 5)
    assert [await revoked(other.id), await revoked(action="comment"), await revoked(NOBODY)] == [False] * 3
    assert await now() == (60, 2, 1)
    assert sorted(await asyncio.gather(*(revoked() for _ in range(4)))) == [False, False, False, True]
    assert await now() == (0, 1, 0)
    assert await community.points.award(user.id, "post", **cause) == Award(5, 5, 1, levelled_up=False)
    again = asyncio.gather(revoked(), community.points.award(user.id, "post", **cause))
    assert await again == [True, Award(5, 5, 1, levelled_up=False)]
    assert await now() == (5, 1, 1)
    await community.gamification_config.set("post", 0)
    assert await revoked()
    assert await now() == (0, 1, 0)
    assert await violations(community.database) == []


async def test_many_users_are_awarded_in_the_commands_of_one(community: Community) -> None:
    """Each as if it came alone; nobody's missing account spoils it."""
    await community.levels.install_defaults()
    await community.gamification_config.set("post", 30)
    await community.gamification_config.set("comment", 20)
    users = await people(community, 12)
    changes: list[Change] = []
    for number in range(60):
        user, action = users[number % 12].id, ("post", "comment", "nothing")[number % 3]
        verb = "revoke" if number % 7 == 6 else "award"
        reference = ("post", f"{number % 5}") if number % 4 or verb == "revoke" else (None, None)
        changes.append((verb, Cause(user, action, *reference)))
    changes.insert(20, ("award", Cause(NOBODY, "post")))
    connection, outcomes = community._connection, list[Any]()
    for groups in ([changes], [[change] for change in changes]):
        await community.database.points.delete_many({})
        await community.database.users.update_many({}, {"$set": {"points": 0, "level": 1}})
        await community.points.award(users[0].id, "post", reference_type="post", reference_id="0")
        answers: list[Any] = []
        for group in groups:

            async def work(group: Sequence[Change] = group) -> Any:
                return await change_points(connection, group, community.clock())

            with count_commands(community) as commands:
                answers += await community.transaction(work)
            assert len(commands) <= 6
        state = await _state(community, ["users", "points"])
        causes = sorted((row["userId"], row["action"], row.get("referenceId", "")) for row in state["points"])
        outcomes.append(_plain([answers, state["users"], [list(cause) for cause in causes]], {}))
        assert await violations(community.database) == []
    assert outcomes[0] == outcomes[1]
