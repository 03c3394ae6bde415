"""Gathered notifications: one unread row counts all acts of one type on one target."""

import asyncio
import itertools
import sys
from collections.abc import Awaitable, Callable
from contextvars import Context
from dataclasses import dataclass, field
from typing import Any

import pytest
from bson import ObjectId
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from datalayer import Community
from datalayer.documents import Like, Notification, User
from datalayer.engine.fields import StorageId
from datalayer.errors import InvalidInputError, NotFoundError
from datalayer.ids import NotificationId, PostId, UserId
from datalayer.repositories.shared.authors import Author
from datalayer.repositories.shared.telling import Actor, Notice, take_back_likes, tell
from datalayer.testing import count_commands
from tests.commands import keys_and_stages
from tests.community.world import people, person
from tests.seeding.invariants import violations

KEY = "post:1"


async def _rows(community: Community, user_id: UserId) -> list[Notification]:
    """The user's notifications, the oldest first."""
    return (await community.notifications.recent(user_id, limit=100)).items[::-1]


def _actor(user: User) -> Actor:
    return Actor(user.id, Author.of(user.to_wire()))


async def _tell(community: Community, *acts: list[Notice]) -> list[dict[UserId, Notification]]:
    return await community.transaction(lambda: tell(community._connection, acts))


async def test_five_people_are_one_row_with_the_newest_actor(community: Community) -> None:
    """Each call returns the row as it is after it; the row has the actor and time of the last, and its data."""
    user, *actors = await people(community, 6)
    told = [
        await community.notifications.notify(user.id, "like", actor_id=actor.id, data=data, gather=KEY)
        for actor, data in zip(actors, [None, {"n": 1}, None, {"n": 2}, None], strict=True)
    ]
    assert [row and (row.gather_count, row.actor_name, row.data) for row in told] == [
        (1, "User 1", None),
        (2, "User 2", {"n": 1}),
        (3, "User 3", {"n": 1}),
        (4, "User 4", {"n": 2}),
        (5, "User 5", {"n": 2}),
    ]
    assert await _rows(community, user.id) == [told[-1]]
    assert await community.notifications.unread_count(user.id) == 1
    assert await violations(community.database) == []


async def test_the_row_shows_only_what_the_newest_actor_has(community: Community) -> None:
    """The avatar of an earlier one goes; so does the name where the last act has no actor."""
    user, plain = await people(community, 2)
    pictured = await community.users.create(name="Grace", avatar_storage_id=StorageId("grace.png"))
    for actor_id, shown in ((pictured.id, ("Grace", "grace.png")), (plain.id, ("User 1", None)), (None, (None, None))):
        await community.notifications.notify(user.id, "like", actor_id=actor_id, gather=KEY)
        (row,) = await _rows(community, user.id)
        assert (row.actor_id, row.actor_name, row.actor_avatar) == (actor_id, *shown)
    stored = await community.database.notifications.find_one({"_id": row.id}) or {}
    assert stored.keys() == {"_id", "userId", "type", "data", "read", "createdAt", "gatherKey", "gatherCount"}


async def test_another_recipient_type_or_key_has_a_row_of_its_own(community: Community) -> None:
    """So has a notification that is not gathered."""
    user, other, actor = await people(community, 3)
    for user_id, type, key in itertools.product((user.id, other.id), ("like", "report"), (KEY, "post:2", None)):
        for _ in range(2):
            await community.notifications.notify(user_id, type, actor_id=actor.id, gather=key)
    for user_id in (user.id, other.id):
        rows = sorted((row.type, row.gather_key or "", row.gather_count) for row in await _rows(community, user_id))
        kinds = ("like", "report")
        assert rows == [(kind, *row) for kind in kinds for row in (("", None), ("", None), (KEY, 2), ("post:2", 2))]


async def test_many_at_once_are_counted_exactly(community: Community) -> None:
    """32 callers share transactions: each gets its own place in the count."""
    user, *actors = await people(community, 33)
    notify = community.notifications.notify
    with count_commands(community) as commands:
        told = await asyncio.gather(*(notify(user.id, "like", actor_id=it.id, gather=KEY) for it in actors))
    assert sorted(row.gather_count or 0 for row in told if row) == list(range(1, 33))
    (row,) = await _rows(community, user.id)
    assert row.gather_count == 32
    assert sum(command.name == "commitTransaction" for command in commands) <= 4


async def test_a_missing_actor_is_one_callers_error(community: Community) -> None:
    """Those who share the transaction are counted; a missing recipient is everybody's own error."""
    user, one, two = await people(community, 3)
    missing = UserId(ObjectId())
    notify = community.notifications.notify
    calls = [notify(user.id, "like", actor_id=id, gather=KEY) for id in (one.id, missing, user.id, two.id)]
    first, refused, own, last = await asyncio.gather(*calls, return_exceptions=True)
    assert isinstance(first, Notification)
    assert isinstance(refused, NotFoundError)
    assert str(missing) in str(refused)
    assert own is None
    assert isinstance(last, Notification)
    assert last.gather_count == 2
    errors = await asyncio.gather(
        *(notify(missing, "like", actor_id=id, gather=KEY) for id in (one.id, two.id)), return_exceptions=True
    )
    assert [type(error) for error in errors] == [NotFoundError, NotFoundError]
    assert await community.database.notifications.count_documents({}) == 1


async def test_a_transaction_takes_the_count_along(community: Community) -> None:
    """Undone with it, whether it raises or is cancelled; a refusal before a write does not doom it."""
    user, one, two = await people(community, 3)
    notify = community.notifications.notify
    await notify(user.id, "like", actor_id=one.id, gather=KEY)
    before = await _rows(community, user.id)
    written = asyncio.Event()

    async def work(end: Callable[[], Awaitable[object]]) -> None:
        with pytest.raises(NotFoundError):
            await notify(user.id, "like", actor_id=UserId(ObjectId()), gather=KEY)
        for actor, count in ((two, 2), (one, 3)):
            row = await notify(user.id, "like", actor_id=actor.id, gather=KEY)
            assert row is not None
            assert row.gather_count == count
        written.set()
        await end()

    async def fail() -> None:
        raise KeyError

    with pytest.raises(KeyError):
        await community.transaction(lambda: work(fail))
    assert await _rows(community, user.id) == before
    written.clear()
    task = asyncio.create_task(community.transaction(lambda: work(asyncio.Event().wait)))
    await written.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await _rows(community, user.id) == before
    await community.transaction(lambda: work(lambda: asyncio.sleep(0)))
    (row,) = await _rows(community, user.id)
    assert row.gather_count == 3


async def test_cancelling_one_caller_loses_nobody_elses(community: Community) -> None:
    """Of twelve at once, two are cancelled: the other ten are counted, each in a place of its own."""
    user, *actors = await people(community, 13)
    notify = community.notifications.notify
    tasks = [asyncio.create_task(notify(user.id, "like", actor_id=actor.id, gather=KEY)) for actor in actors]
    await asyncio.sleep(0)
    for cancelled in (tasks[0], tasks[5]):
        cancelled.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    counts = {row.gather_count or 0 for row in results if isinstance(row, Notification)}
    (row,) = await _rows(community, user.id)
    assert len(counts) == 10
    assert row.gather_count in range(max(counts), 13)


MEANWHILE: dict[str, tuple[int, Callable[[Community, UserId, NotificationId], Awaitable[object]], list[Any]]] = {
    "it is read": (1, lambda c, user, row: c.notifications.mark_read(user, row), [(True, 1), (False, 1)]),
    "all are read": (1, lambda c, user, _: c.notifications.mark_all_read(user), [(True, 1), (False, 1)]),
    "it is deleted": (1, lambda c, _, row: c.notifications.delete(row), [(False, 1)]),
    "another one counts": (1, lambda c, user, _: c.notifications.notify(user, "like", gather=KEY), [(False, 3)]),
    "another one begins": (0, lambda c, user, _: c.notifications.notify(user, "like", gather=KEY), [(False, 2)]),
}


@pytest.mark.parametrize("what", MEANWHILE)
async def test_what_happens_meanwhile(community: Community, what: str) -> None:
    """The transaction that counts has its snapshot when somebody else changes the row: it is tried again."""
    there, change, expected = MEANWHILE[what]
    user, actor = await people(community, 2)
    id = NotificationId(ObjectId())
    for _ in range(there):
        row = await community.notifications.notify(user.id, "like", gather=KEY)
        assert row is not None
        id = row.id
    attempts = itertools.count()

    async def work() -> None:
        await community.users.get(actor.id)
        if next(attempts) == 0:
            # Not a part of this transaction.
            await asyncio.create_task(_awaited(change(community, user.id, id)), context=Context())
        await community.notifications.notify(user.id, "like", actor_id=actor.id, gather=KEY)

    await community.transaction(work)
    assert next(attempts) == 2
    assert [(row.read, row.gather_count) for row in await _rows(community, user.id)] == expected


async def _awaited(awaitable: Awaitable[object]) -> None:
    await awaitable


_WORKER = """
import asyncio, sys
from bson import ObjectId
from pymongo import AsyncMongoClient
from datalayer import Community

async def main():
    uri, name, *ids = sys.argv[1:]
    user, actor = map(ObjectId, ids)
    async with AsyncMongoClient(uri) as client, Community.over(client[name], schema="skip") as community:
        await community.users.get(user)
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        notify = community.notifications.notify
        for _ in range(3):
            await asyncio.gather(*(notify(user, "like", actor_id=actor, gather="post:1") for _ in range(4)))

asyncio.run(main())
"""


async def test_several_processes_count_up_in_one_row(community: Community, server_uri: str) -> None:
    """Three workers, four tasks in each: one unread row, and an exact count."""
    user, *actors = await people(community, 4)
    pipe = asyncio.subprocess.PIPE
    workers = [
        await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", _WORKER, server_uri, community.database.name, str(user.id), str(actor.id)),
            stdin=pipe,
            stdout=pipe,
        )
        for actor in actors
    ]
    for worker in workers:
        assert worker.stdout is not None
        assert await worker.stdout.readline() == b"ready\n"
    await asyncio.gather(*(worker.communicate(b"go\n") for worker in workers))
    assert [worker.returncode for worker in workers] == [0, 0, 0]
    (row,) = await _rows(community, user.id)
    assert (row.gather_count, row.read) == (36, False)
    assert row.actor_id in {actor.id for actor in actors}


async def test_an_act_tells_a_person_once(community: Community) -> None:
    """The first notice to each counts; not the actor, and not who does not exist. Two acts tell twice."""
    author, parent, actor = await people(community, 3)
    who = _actor(actor)
    notices = [
        Notice(parent.id, "reply", who),
        Notice(parent.id, "comment", who),
        Notice(actor.id, "mention", who),
        Notice(UserId(ObjectId()), "mention", who),
        Notice(UserId(ObjectId()), "mention", who, gather=KEY),
        Notice(author.id, "mention", who, gather=KEY),
        Notice(author.id, "mention", who),
    ]
    with count_commands(community) as commands:
        first, second = await _tell(community, notices, notices)
    assert [command.name for command in commands] == ["find", "find", "insert", "commitTransaction"]
    assert first.keys() == second.keys() == {author.id, parent.id}
    assert [row.type for row in await _rows(community, parent.id)] == ["reply", "reply"]
    assert [(row.type, row.gather_count) for row in await _rows(community, author.id)] == [("mention", 2)]
    assert (first[author.id].gather_count, second[author.id].gather_count) == (1, 2)
    assert first[author.id].id == second[author.id].id
    assert await community.database.notifications.count_documents({}) == 3


async def test_telling_many_costs_what_telling_one_costs(community: Community) -> None:
    """At most four round trips and the commit; two where nothing is gathered, none where nobody is told."""
    users = await people(community, 20)
    actor = _actor(await person(community))
    half = [[Notice(user.id, "report", actor, gather=KEY) for user in users[:10]]]
    await _tell(community, *half)
    for acts, expected in (
        ([[Notice(user.id, "report", actor, gather=KEY) for user in users]], ["find", "find", "insert", "update"]),
        ([[Notice(user.id, "report", actor, gather=KEY) for user in users]], ["find", "update"]),
        ([[Notice(user.id, "mention", actor) for user in users]], ["find", "insert"]),
        ([[], [Notice(actor.id, "mention", actor)]], []),
    ):
        with count_commands(community) as commands:
            await _tell(community, *acts)
        assert [command.name for command in commands if command.name != "commitTransaction"] == expected


@dataclass
class Row:
    """What a notification should be; `likes` are those that it counts, by the number of the user."""

    target: int
    actor: int
    created_at: int
    read: bool = False
    likes: dict[int, ObjectId] = field(default_factory=dict)


class Likes:
    """Likes of four targets by five people, and plain rows that follow the same rules. Two targets are of person 0."""

    def __init__(self, community: Community, people: list[User]) -> None:
        self.community, self.people = community, people
        self.targets = [PostId(ObjectId()) for _ in range(4)]
        self.rows: list[Row] = []
        self.liked: dict[tuple[int, int], Row | None] = {}
        self.now = 1_000

    def owner(self, target: int) -> UserId:
        """Whose the target is."""
        return self.people[target // 2].id

    async def like(self, target: int, actors: list[int]) -> None:
        """These people like the target, in one transaction."""
        connection, id = self.community._connection, self.targets[target]
        new = [actor for actor in actors if (actor, target) not in self.liked]
        acts = [[Notice(self.owner(target), "like", _actor(self.people[n]), gather=f"post:{id}")] for n in new]

        async def work() -> list[Like]:
            told = [act.get(self.owner(target)) for act in await tell(connection, acts)]
            likes = [
                Like(
                    user_id=self.people[n].id,
                    target_type="post",
                    target_id=id,
                    created_at=1,
                    notification_id=row and row.id,
                )
                for n, row in zip(new, told, strict=True)
            ]
            await connection.collection(Like).insert_many([like.to_wire() for like in likes])
            return likes

        for n, like in zip(new, await self.community.transaction(work) if new else [], strict=True):
            self.liked[n, target] = None if n == target // 2 else self._count(target, n, like.id)

    def _count(self, target: int, actor: int, like: ObjectId) -> Row:
        row = next((row for row in self.rows if row.target == target and not row.read), None)
        if row is None:
            self.rows.append(row := Row(target, actor, self.now))
        row.actor, row.created_at, row.likes[actor] = actor, max(row.created_at, self.now), like
        return row

    async def unlike(self, target: int, actors: list[int]) -> None:
        """These people no longer like the target, in one transaction."""
        connection, id = self.community._connection, self.targets[target]
        gone = [actor for actor in actors if (actor, target) in self.liked]
        of_gone = {"targetId": id, "userId": {"$in": [self.people[n].id for n in gone]}}

        async def work() -> None:
            likes = Like.from_wires(await connection.collection(Like).find(of_gone).to_list())
            await connection.collection(Like).delete_many(of_gone)
            counted = {like.user_id: like.notification_id for like in likes if like.notification_id is not None}
            await take_back_likes(connection, "post", id, counted)

        await self.community.transaction(work)
        left = {n: row for n in gone if (row := self.liked.pop((n, target))) is not None and not row.read}
        for n, row in left.items():
            del row.likes[n]
        for row in left.values():
            if row.likes and row.actor in left:
                row.actor = max(row.likes, key=lambda n: row.likes[n])
        self.rows = [row for row in self.rows if row.likes]

    async def read(self, target: int, actors: list[int]) -> None:
        """The owner reads what is unread about the target; together with an odd number of people, everything."""
        notifications, user_id = self.community.notifications, self.owner(target)
        unread = [row for row in self.rows if not row.read and row.target // 2 == target // 2]
        if len(actors) % 2:
            assert await notifications.mark_all_read(user_id) == len(unread)
        else:
            key = f"post:{self.targets[target]}"
            unread = [row for row in unread if row.target == target]
            found = (await notifications.unread(user_id)).items
            for row in [row for row in found if row.gather_key == key]:
                assert await notifications.mark_read(user_id, row.id)
        for row in unread:
            row.read = True

    async def check(self) -> None:
        """The notifications are the rows."""
        found = [row for user in self.people for row in await _rows(self.community, user.id)]
        assert sorted(
            (row.user_id, row.gather_key, row.read, row.gather_count, row.created_at, row.actor_id, row.actor_name)
            for row in found
        ) == sorted(
            (
                *(self.owner(row.target), f"post:{self.targets[row.target]}", row.read, len(row.likes)),
                *(row.created_at, self.people[row.actor].id, self.people[row.actor].name),
            )
            for row in self.rows
        )


steps = st.tuples(
    st.sampled_from([Likes.like, Likes.like, Likes.unlike, Likes.read]),
    st.integers(0, 3),
    st.lists(st.integers(0, 4), min_size=1, max_size=4, unique=True),
    st.integers(-2, 3),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(steps, min_size=5, max_size=25))
async def test_likes_come_and_go(community: Community, taken: list[tuple[Any, int, list[int], int]]) -> None:
    """After each step the notifications are those of a plain model, also where the clock goes back."""
    await community.database.notifications.delete_many({})
    likes = Likes(community, (await community.users.directory()).items or await people(community, 5))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(community._connection, "now", lambda: likes.now)
        for step, target, actors, later in taken:
            likes.now += later
            await step(likes, target, actors)
            await likes.check()


async def test_taking_back_costs_no_more_for_many(community: Community, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two round trips, three where the displayed actor leaves: the newest remaining like is a key of by_target."""
    likes = Likes(community, await people(community, 5))
    monkeypatch.setattr(community._connection, "now", lambda: likes.now)
    await likes.like(0, [1, 2, 3, 4])
    for gone, expected in (
        ([2], ["find", "update"]),
        ([4], ["find", "aggregate", "update"]),
        ([1, 3], ["find", "delete"]),
    ):
        with count_commands(community) as commands:
            await likes.unlike(0, gone)
        names = [command.name for command in commands]
        assert names == ["find", "delete", *expected, "commitTransaction"]
        await likes.check()
        for command in commands:
            if command.name == "aggregate":
                keys, stages = await keys_and_stages(community.database, command)
                assert keys <= 3
                assert not {"SORT", "COLLSCAN"} & stages


@pytest.mark.parametrize("bad", ["", " ", "x" * 201, "\0", {"$ne": ""}, 5])
async def test_bad_keys(community: Community, bad: Any) -> None:
    user = await person(community)
    with pytest.raises(InvalidInputError) as error:
        await community.notifications.notify(user.id, "like", gather=bad)
    assert error.value.field == "gather"
    assert await community.database.notifications.count_documents({}) == 0
