"""Points and notifications that follow from what people do: on request, in the transaction of the act."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from bson import ObjectId
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from datalayer import Community
from datalayer.documents import Notification, Post, User
from datalayer.engine.clock import DAY
from datalayer.errors import AlreadyExistsError, InvalidInputError, NotFoundError
from datalayer.ids import UserId
from datalayer.repositories.likes import LikeResult
from tests.community.curricula import curriculum
from tests.community.world import people, post
from tests.seeding.invariants import violations

BOTH: Any = {"reward": True, "notify": True}
TEXT: Any = {"content": "c", "content_html": "c"}
NOBODY = UserId(ObjectId())

Told = tuple[str, str, str | None]
"""Who is told, the type, and whose act it shows."""


@dataclass
class World:
    """Some people, what they have written, and what they may do."""

    c: Community
    people: list[User]
    post: Post
    comment: Any
    reply: Any
    talk: Any
    event: Any
    course: Any

    def name(self, id: Any) -> str | None:
        """The name of a person."""
        return next((user.name for user in self.people if user.id == id), None)

    async def points(self) -> list[tuple[str | None, str, str | None, str | None]]:
        """All entries: who, for what, and the reference."""
        rows = await self.c.database.points.find().sort("_id").to_list()
        return [(self.name(r["userId"]), r["action"], r.get("referenceType"), r.get("referenceId")) for r in rows]

    async def told(self) -> list[Told]:
        """All notifications, in no particular order."""
        rows = Notification.from_wires(await self.c.database.notifications.find().to_list())
        return sorted((str(self.name(row.user_id)), row.type, row.actor_name) for row in rows)


@pytest.fixture
async def world(community: Community) -> AsyncIterator[World]:
    """Ada has written the post, Ben a comment on it, and Cy a reply to that; nobody was rewarded or told."""
    names = ("Ada", "Ben", "Cy", "Dan", "Moderator", "Admin")
    ada, ben, cy, _, moderator, admin = users = [await community.users.create(name=name) for name in names]
    await community.users.set_role(admin.id, "admin")
    await community.users.set_role(moderator.id, "moderator")
    await community.gamification_config.install_defaults()
    written = await post(community, author=ada)
    comment = await community.comments.create(written.id, ben.id, "comment")
    reply = await community.comments.create(written.id, cy.id, "reply", parent_id=comment.id)
    talk = await community.conversations.open(ada.id, ben.id)
    start = community.clock() + DAY
    event = await community.events.create(title="Party", start_time=start, end_time=start + DAY)
    course = await curriculum(community, 2)
    assert await community.database.notifications.count_documents({}) == 0
    yield World(community, users, written, comment, reply, talk, event, course)
    assert await violations(community.database) == []


Do = Callable[[World, UserId], Awaitable[Any]]


@dataclass(frozen=True)
class Row:
    """What follows from an act of Dan's.

    Attributes:
        act: The act, where it is wanted.
        plain: The same where nothing is.
        points: Who gets points, the action, the type of the reference, and what it refers to.
        told: Who is told what.
        before: What Dan has done before.
    """

    act: Do
    plain: Do
    points: Callable[[World, Any], Sequence[tuple[str, str, str, Any]]] = lambda *_: ()
    told: Sequence[tuple[str, str]] = ()
    before: Do | None = None
    repeats: bool = False


async def _enrolled(w: World, me: UserId) -> None:
    await w.c.enrollments.enroll(me, w.course.course.id)


async def _all_but_one(w: World, me: UserId) -> None:
    await _enrolled(w, me)
    await w.c.lesson_progress.complete(me, w.course.lessons[0].id)


async def _maybe(w: World, me: UserId) -> None:
    await w.c.rsvps.set(me, w.event.id, "maybe")


def _row(method: str, *arguments: Callable[[World], Any], rewards: bool = True, **more: Any) -> dict[str, Do]:
    """The act with and without its consequences; the arguments behind whoever acts."""
    repository, name = method.split(".")

    def do(wanted: dict[str, bool]) -> Do:
        async def call(w: World, me: UserId) -> Any:
            given = {key: value(w) for key, value in more.items()}
            return await getattr(getattr(w.c, repository), name)(me, *(of(w) for of in arguments), **given, **wanted)

        return call

    return {"act": do(BOTH if rewards else {"notify": True}), "plain": do({})}


async def _posted(w: World, me: UserId, **wanted: Any) -> Any:
    ids = [w.people[0].id, w.people[1].id, w.people[0].id, me, NOBODY]
    return await w.c.posts.create(w.post.space_id, me, **TEXT, mention_ids=ids, **wanted)


def _commented(parent: Callable[[World], Any], *mentioned: int) -> dict[str, Do]:
    async def call(w: World, me: UserId, **wanted: Any) -> Any:
        ids = [*(w.people[n].id for n in mentioned), me, NOBODY]
        return await w.c.comments.create(w.post.id, me, "c", parent_id=parent(w), mention_ids=ids, **wanted)

    return {"act": lambda w, me: call(w, me, **BOTH), "plain": call}


def _sent(**wanted: Any) -> Do:
    async def call(w: World, me: UserId) -> Any:
        talk = await w.c.conversations.open(me, w.people[0].id)
        return await w.c.messages.send(talk.id, me, "hello", **wanted)

    return call


ROWS = {
    "post": Row(
        lambda w, me: _posted(w, me, **BOTH),
        _posted,
        lambda _, made: [("Dan", "post", "post", made.id)],
        [("Ada", "mention"), ("Ben", "mention")],
        repeats=True,
    ),
    "comment": Row(
        **_commented(lambda _: None, 0, 1),
        points=lambda _, made: [("Dan", "comment", "comment", made.id)],
        told=[("Ada", "comment"), ("Ben", "mention")],
        repeats=True,
    ),
    "reply": Row(
        **_commented(lambda w: w.comment.id, 1, 2),
        points=lambda _, made: [("Dan", "comment", "comment", made.id)],
        told=[("Ben", "reply"), ("Cy", "mention")],
        repeats=True,
    ),
    "reply to a reply": Row(
        **_commented(lambda w: w.reply.id),
        points=lambda _, made: [("Dan", "comment", "comment", made.id)],
        told=[("Cy", "reply")],
        repeats=True,
    ),
    "like of a post": Row(
        **_row("likes.like", lambda _: "post", lambda w: w.post.id),
        points=lambda w, _: [("Ada", "like_received", "like", f"post:{w.post.id}:{w.people[3].id}")],
        told=[("Ada", "like")],
    ),
    "like of a comment": Row(
        **_row("likes.like", lambda _: "comment", lambda w: w.comment.id),
        points=lambda w, _: [("Ben", "like_received", "like", f"comment:{w.comment.id}:{w.people[3].id}")],
        told=[("Ben", "like")],
    ),
    "follow": Row(**_row("follows.follow", lambda w: w.people[0].id, rewards=False), told=[("Ada", "follow")]),
    "message": Row(_sent(notify=True), _sent(), told=[("Ada", "message")], repeats=True),
    "going": Row(
        **_row("rsvps.set", lambda w: w.event.id, lambda _: "going"),
        points=lambda w, _: [("Dan", "rsvp", "event", w.event.id)],
        before=_maybe,
    ),
    "maybe": Row(**_row("rsvps.set", lambda w: w.event.id, lambda _: "maybe")),
    "enroll": Row(
        **_row("enrollments.enroll", lambda w: w.course.course.id),
        points=lambda w, _: [("Dan", "enroll", "course", w.course.course.id)],
    ),
    "lesson": Row(
        **_row("lesson_progress.complete", lambda w: w.course.lessons[0].id),
        points=lambda w, _: [("Dan", "lesson_complete", "lesson", w.course.lessons[0].id)],
        before=_enrolled,
    ),
    "last lesson": Row(
        **_row("lesson_progress.complete", lambda w: w.course.lessons[1].id),
        points=lambda w, _: [
            ("Dan", "lesson_complete", "lesson", w.course.lessons[1].id),
            ("Dan", "course_complete", "course", w.course.course.id),
        ],
        before=_all_but_one,
    ),
    "role": Row(**_row("users.set_role", lambda _: "admin", rewards=False), told=[("Dan", "role")]),
    "report": Row(
        **_row("reports.file", lambda _: "post", lambda w: w.post.id, lambda _: "spam", rewards=False),
        told=[("Admin", "report"), ("Moderator", "report")],
    ),
}


@pytest.mark.parametrize("composed", [False, True], ids=["alone", "in a transaction"])
@pytest.mark.parametrize("name", ROWS)
async def test_what_follows(world: World, name: str, composed: bool) -> None:
    """The points with their references, and the people with what they are told; nothing from a repetition."""
    row, dan = ROWS[name], world.people[3]
    if row.before is not None:
        await row.before(world, dan.id)
    act = (lambda: world.c.transaction(lambda: row.act(world, dan.id))) if composed else lambda: row.act(world, dan.id)
    made = await act()
    points = [(who, action, kind, str(id)) for who, action, kind, id in row.points(world, made)]
    assert await world.points() == points
    actor = None if name == "role" else "Dan"
    told = sorted((who, type, actor) for who, type in row.told)
    assert await world.told() == told
    if not row.repeats:
        try:
            await act()
        except AlreadyExistsError:
            assert name == "report"
        assert (await world.points(), await world.told()) == (points, told)


@pytest.mark.parametrize("name", ROWS)
async def test_nothing_follows_where_nothing_is_wanted(world: World, name: str) -> None:
    """By default no points and no notifications are written, and what is stored names none."""
    row, dan = ROWS[name], world.people[3]
    if row.before is not None:
        await row.before(world, dan.id)
    await row.plain(world, dan.id)
    assert (await world.points(), await world.told()) == ([], [])
    assert await world.c.database.likes.count_documents({"notificationId": {"$exists": True}}) == 0


@pytest.mark.parametrize("name", [name for name in ROWS if name != "role"])
async def test_a_rollback_takes_the_consequences_back(world: World, name: str) -> None:
    """What is undone has given nothing and told nobody."""
    row, dan = ROWS[name], world.people[3]
    if row.before is not None:
        await row.before(world, dan.id)

    async def work() -> None:
        await row.act(world, dan.id)
        raise KeyError

    with pytest.raises(KeyError):
        await world.c.transaction(work)
    assert (await world.points(), await world.told()) == ([], [])


async def test_nobody_is_told_of_or_rewarded_for_their_own(world: World) -> None:
    """A like of one's own post, a comment on it, a reply to oneself, a mention of oneself."""
    ada = world.people[0].id
    await world.c.likes.like(ada, "post", world.post.id, **BOTH)
    top = await world.c.comments.create(world.post.id, ada, "c", mention_ids=[ada], **BOTH)
    await world.c.comments.create(world.post.id, ada, "c", parent_id=top.id, **BOTH)
    await world.c.posts.create(world.post.space_id, ada, mention_ids=[ada], **TEXT, **BOTH)
    assert [entry[:2] for entry in await world.points()] == [("Ada", "comment"), ("Ada", "comment"), ("Ada", "post")]
    assert await world.told() == []


async def test_those_who_were_removed_get_nothing(community: Community) -> None:
    """The author of what is liked and commented on, and of a parent; the act itself is done."""
    ben, gone = await people(community, 2)
    await community.gamification_config.install_defaults()
    written = await post(community, author=gone)
    top = await community.comments.create(written.id, gone.id, "c")
    await community.users.delete(gone.id)
    assert (await community.likes.like(ben.id, "post", written.id, **BOTH)).newly
    assert (await community.likes.like(ben.id, "comment", top.id, **BOTH)).newly
    await community.comments.create(written.id, ben.id, "c", mention_ids=[gone.id], notify=True)
    await community.comments.create(written.id, ben.id, "c", parent_id=top.id, notify=True)
    assert await community.database.notifications.count_documents({}) == 0
    assert await community.database.points.count_documents({}) == 0


async def test_too_many_mentions_are_refused(world: World) -> None:
    """More than 100, before anything is written."""
    ids = [UserId(ObjectId()) for _ in range(101)]
    with pytest.raises(InvalidInputError) as raised:
        await world.c.comments.create(world.post.id, world.people[0].id, "c", mention_ids=ids)
    assert raised.value.field == "mention_ids"
    with pytest.raises(InvalidInputError) as raised:
        await world.c.posts.create(world.post.space_id, world.people[0].id, **TEXT, mention_ids=ids)
    assert raised.value.field == "mention_ids"


async def test_a_level_is_told_once_for_an_act(world: World) -> None:
    """Beside what else the act tells; of two levels that one act leads to, the higher one."""
    ada, dan = world.people[0], world.people[3]
    await world.c.levels.install_defaults()
    second, third = (await world.c.levels.list())[1:3]
    for action in ("like_received", "lesson_complete"):
        await world.c.gamification_config.set(action, second.threshold)
    await world.c.gamification_config.set("course_complete", third.threshold)
    await world.c.likes.like(dan.id, "post", world.post.id, **BOTH)
    await _all_but_one(world, dan.id)
    await world.c.lesson_progress.complete(dan.id, world.course.lessons[1].id, **BOTH)
    assert await world.told() == [("Ada", "level_up", None), ("Ada", "like", "Dan"), ("Dan", "level_up", None)]
    rows = await world.c.database.notifications.find({"type": "level_up"}).to_list()
    assert {row["userId"]: row["data"] for row in rows} == {
        ada.id: {"level": second.order},
        dan.id: {"level": third.order},
    }


async def test_a_level_is_told_to_those_who_notify_only(world: World) -> None:
    """`reward` alone gives the level and tells nobody."""
    await world.c.levels.install_defaults()
    await world.c.gamification_config.set("enroll", 1_000)
    await world.c.enrollments.enroll(world.people[3].id, world.course.course.id, reward=True)
    assert (await world.c.users.get(world.people[3].id)).level > 1
    assert await world.told() == []


async def test_two_causes_at_once_in_an_answer_count_once(world: World) -> None:
    """Somebody who is going, withdraws and is going again is rewarded once."""
    dan = world.people[3].id
    for _ in range(2):
        assert (await world.c.rsvps.set(dan, world.event.id, "going", **BOTH)).newly
        await world.c.rsvps.withdraw(dan, world.event.id)
    assert [entry[1] for entry in await world.points()] == ["rsvp"]


async def test_a_like_that_comes_back_counts_in_the_notification_but_not_twice_in_points(world: World) -> None:
    """Points are not taken back with a like, and not given again; the notification follows the likes."""
    dan = world.people[3].id
    for _ in range(2):
        await world.c.likes.toggle(dan, "post", world.post.id, **BOTH)
        assert [row[1:] for row in await world.told()] == [("like", "Dan")]
        await world.c.likes.toggle(dan, "post", world.post.id, **BOTH)
        assert await world.told() == []
    assert [entry[1] for entry in await world.points()] == ["like_received"]


CROWD = 32


async def _crowd(world: World) -> list[User]:
    crowd = await people(world.c, CROWD)
    world.people += crowd
    return crowd


@pytest.mark.parametrize("composed", [False, True], ids=["alone", "in transactions"])
async def test_32_likes_at_once(world: World, composed: bool) -> None:
    """The author has the points of each, one notification counts all of them, and levels are told once each."""
    await world.c.levels.install_defaults()
    crowd = await _crowd(world)
    await world.c.gamification_config.set("like_received", 10)

    def like(user: User) -> Awaitable[Any]:
        def work() -> Awaitable[Any]:
            return world.c.likes.like(user.id, "post", world.post.id, **BOTH)

        return world.c.transaction(work) if composed else work()

    await asyncio.gather(*(like(user) for user in crowd))
    ada = await world.c.users.get(world.people[0].id)
    assert ada.points == 10 * CROWD
    rows = (await world.c.notifications.recent(ada.id, limit=100)).items
    (liked,) = [row for row in rows if row.type == "like"]
    assert (liked.gather_count, liked.actor_id) == (
        CROWD,
        (await world.c.likes.of_target("post", world.post.id)).items[0].user_id,
    )
    assert sorted(row.data["level"] for row in rows if row.type == "level_up") == list(range(2, ada.level + 1))


async def test_32_comments_posts_answers_and_enrollments_at_once(world: World) -> None:
    """Each of the crowd is rewarded once; the post's author is told of each comment."""
    crowd, c = await _crowd(world), world.c
    calls = [
        (
            c.comments.create(world.post.id, user.id, "c", mention_ids=[world.people[1].id], **BOTH),
            c.rsvps.set(user.id, world.event.id, "going", **BOTH),
            c.enrollments.enroll(user.id, world.course.course.id, **BOTH),
        )
        for user in crowd
    ]
    await asyncio.gather(*(call for several in calls for call in several))
    assert Counter(entry[:2] for entry in await world.points()) == Counter(
        (user.name, action) for user in crowd for action in ("comment", "rsvp", "enroll")
    )
    expected = [(who, type, str(user.name)) for user in crowd for who, type in (("Ada", "comment"), ("Ben", "mention"))]
    assert await world.told() == sorted(expected)
    assert {user.points for user in (await c.users.get_many([user.id for user in crowd])).values()} == {15}


async def test_32_messages_reports_follows_and_posts_at_once(world: World) -> None:
    """Messages of a conversation and reports of a target are one notification for each recipient, exactly counted."""
    crowd, c = await _crowd(world), world.c
    ada, ben = world.people[:2]
    await asyncio.gather(
        *(c.messages.send(world.talk.id, (ada, ben)[n % 2].id, "m", notify=True) for n in range(CROWD))
    )
    await asyncio.gather(*(c.reports.file(user.id, "post", world.post.id, "spam", notify=True) for user in crowd))
    await asyncio.gather(*(c.follows.follow(user.id, ada.id, notify=True) for user in crowd))
    await asyncio.gather(*(c.posts.create(world.post.space_id, ben.id, **TEXT, **BOTH) for _ in range(CROWD)))
    rows = await c.database.notifications.find({"gatherKey": {"$exists": True}}).to_list()
    counts = {(world.name(row["userId"]), row["type"]): row["gatherCount"] for row in rows}
    assert counts == {
        ("Ada", "message"): CROWD // 2,
        ("Ben", "message"): CROWD // 2,
        ("Moderator", "report"): CROWD,
        ("Admin", "report"): CROWD,
    }
    assert await c.database.notifications.count_documents({"type": "follow", "userId": ada.id}) == CROWD
    assert (await c.users.get(ben.id)).points == 10 * CROWD


async def test_one_of_a_group_is_refused(world: World) -> None:
    """Somebody who does not exist, in the middle; the others' likes are rewarded, counted and told."""
    crowd = await _crowd(world)
    ids = [user.id for user in crowd[:6]]
    ids[3] = NOBODY
    calls = (world.c.likes.like(id, "post", world.post.id, **BOTH) for id in ids)
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert [isinstance(result, NotFoundError) for result in results] == [n == 3 for n in range(6)]
    assert (await world.c.users.get(world.people[0].id)).points == 2 * 5
    (row,) = (await world.c.notifications.recent(world.people[0].id)).items
    assert row.gather_count == 5


async def test_one_of_a_group_is_cancelled(world: World) -> None:
    """The first and one that waits; points and notification are those of the likes that are there."""
    crowd = await _crowd(world)
    tasks = [asyncio.ensure_future(world.c.likes.like(user.id, "post", world.post.id, **BOTH)) for user in crowd[:12]]
    await asyncio.sleep(0)
    for cancelled in (tasks[0], tasks[5]):
        cancelled.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [isinstance(result, asyncio.CancelledError) for result in results] == [n in (0, 5) for n in range(12)]
    count = (await world.c.posts.get(world.post.id)).like_count
    assert count >= 10
    assert (await world.c.users.get(world.people[0].id)).points == 2 * count
    (row,) = (await world.c.notifications.recent(world.people[0].id)).items
    assert row.gather_count == count


READ: Any = "read"

verbs = st.sampled_from(("like", "like", "unlike", "toggle"))
requests = st.tuples(st.integers(0, 4), verbs, st.booleans(), st.booleans())
groups = st.lists(requests, min_size=1, max_size=6)


@dataclass
class Model:
    """The likes of one target as they should be.

    Attributes:
        liked: Who likes it.
        counted: Whose likes the unread notification counts, the newest last.
        rewarded: Whose likes the author was rewarded for.
    """

    author: int
    liked: set[int] = field(default_factory=set)
    counted: list[int] = field(default_factory=list)
    rewarded: set[int] = field(default_factory=set)

    def do(self, user: int, verb: str, *, reward: bool, notify: bool) -> LikeResult:
        """One request; what it returns."""
        before = user in self.liked
        after = not before if verb == "toggle" else verb == "like"
        newly = after and not before
        (self.liked.add if after else self.liked.discard)(user)
        if not after and user in self.counted:
            self.counted.remove(user)
        if newly and user != self.author:
            self.counted += [user] if notify else []
            self.rewarded |= {user} if reward else set()
        return LikeResult(after, len(self.liked), newly=newly)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.one_of(groups, st.just(READ)), min_size=1, max_size=8))
@example([[(0, "like", True, True), (0, "unlike", False, False), (0, "like", False, False)]])
@example([[(0, "like", True, True), (1, "like", True, True), (0, "toggle", True, True), (0, "toggle", True, True)]])
@example([[(0, "like", True, True)], READ, [(0, "toggle", True, True), (0, "toggle", True, True)]])
async def test_likes_lead_to_what_a_plain_model_says(community: Community, steps: list[Any]) -> None:
    """Results, count, points, and the notification's count and actor, after each group of requests at once."""
    users = (await community.users.directory("newest")).items or await people(community, 5)
    await community.gamification_config.set("like_received", 2)
    author = users[-1]
    target = await post(community, author=author)
    model = Model(author=4)
    for step in steps:
        if step is READ:
            await community.notifications.mark_all_read(author.id)
            model.counted.clear()
        else:
            calls = [
                getattr(community.likes, verb)(
                    users[n].id, "post", target.id, **({} if verb == "unlike" else {"reward": reward, "notify": notify})
                )
                for n, verb, reward, notify in step
            ]
            expected = [model.do(n, verb, reward=reward, notify=notify) for n, verb, reward, notify in step]
            assert await asyncio.gather(*calls) == expected
        assert (await community.posts.get(target.id)).like_count == len(model.liked)
        unread = {"gatherKey": f"post:{target.id}", "read": False}
        rows = await community.database.notifications.find(unread).to_list()
        newest = [(len(model.counted), users[model.counted[-1]].id)] if model.counted else []
        assert [(row["gatherCount"], row["actorId"]) for row in rows] == newest
        given = await community.database.points.find({"userId": author.id}).to_list()
        references = {row["referenceId"] for row in given if str(target.id) in row["referenceId"]}
        assert references == {f"post:{target.id}:{users[n].id}" for n in model.rewarded}
        assert (await community.users.get(author.id)).points == 2 * len(given)
    assert await violations(community.database) == []
