"""Random methods in random transactions on a few hot documents, in several processes at once.

What each transaction writes is noted when it has ended: all of it where it was acknowledged, nothing of it where it
raised, one of the two where it was cancelled or out of time.
"""

import asyncio
import io
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import get_context
from random import Random
from typing import Any

from bson import ObjectId

from datalayer import Community
from datalayer.engine.clock import DAY
from datalayer.errors import (
    DataLayerError,
    EventFullError,
    NotAParticipantError,
    NotFoundError,
    OutcomeUnknownError,
    SelfFollowError,
)
from tests.reliability.ledger import Change, Ledger, Register, flag, to
from tests.reliability.load import PATIENCE
from tests.reliability.observed import TOGETHER, observed
from tests.seeding.invariants import violations
from tests.seeding.rows import Data

PROCESSES, TASKS = 3, 4
TIMES = 8
"""How many transactions each task does."""

SEATS = 3
MOST_STEPS = 4

SOON = 0.1
"""Seconds within which somebody loses patience."""


@dataclass(frozen=True)
class Place:
    """The documents that everybody writes to, by their ids."""

    users: list[Any]
    space: Any
    posts: list[Any]
    conversation: Any
    course: Any
    event: Any

    @classmethod
    async def create(cls, community: Community) -> "Place":
        """Three users, two posts, a conversation, a course, and an event with few seats."""
        await community.gamification_config.install_defaults()
        await community.levels.install_defaults()
        users = [(await community.users.create(name=f"Star {number}")).id for number in range(3)]
        space = await community.spaces.create(name="General")
        course = await community.courses.create(title="Course")
        await community.courses.publish(course.id)
        start = community._connection.now() + DAY
        event = await community.events.create(title="Event", start_time=start, end_time=start + DAY, capacity=SEATS)
        posts = [await community.posts.create(space.id, author, content="p", content_html="p") for author in users[:2]]
        return cls(
            users=users,
            space=space.id,
            posts=[post.id for post in posts],
            conversation=(await community.conversations.open(users[0], users[1])).id,
            course=course.id,
            event=event.id,
        )


@dataclass
class Account:
    """What came of the work of a process.

    Attributes:
        journal: Its ledger's.
        outcomes: How many transactions were `acknowledged`, `undone`, or ended `unknown`.
        problems: What may not happen.
        longest: How many seconds the longest call took.
    """

    journal: list[str] = field(default_factory=list)
    outcomes: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    longest: float = 0.0


class WhimError(Exception):
    """The application's own error."""


class Member:
    """A task, and a user of its own: nobody else changes what that user likes, follows or attends.

    Attributes:
        comments: The ids of its comments, by marker; `None` for those that it may have deleted.
    """

    def __init__(self, community: Community, place: Place, name: str, user: Any) -> None:
        self.community, self.place, self.name, self.user = community, place, name, user
        self.comments: dict[str, Any] = {}


class Attempt:
    """One run of the work of a transaction. The next attempt at the same transaction makes the same choices.

    Attributes:
        marker: A word that nothing of other transactions begins with.
        changes: What it changes, as the ledger has it.
        comments: The comments that it creates, by marker; `None` for those that it may have deleted.
    """

    def __init__(self, member: Member, number: int) -> None:
        self.community, self.place, self.member = member.community, member.place, member
        self.random = Random(f"{member.name}-{number}")  # noqa: S311 - the same choices again, no secret
        self.changes: dict[Register, Change] = {}
        self.comments: dict[str, Any] = {}
        self.marker, self._tables = f"{member.name}-{number}", list[str]()

    def text(self, table: str) -> str:
        """The text of a new document: what one transaction writes belongs together."""
        self._tables.append(table)
        self.changes[TOGETHER, f"{TOGETHER}{self.marker}"] = to(" ".join(sorted(self._tables)))
        return f"{TOGETHER}{self.marker} {len(self._tables)}"

    def actor(self) -> Any:
        """The own user, or one whom everybody lets do the same."""
        return self.random.choice([self.member.user, self.member.user, self.star()])

    def star(self) -> Any:
        """One of the users whom everybody shares."""
        return self.random.choice(self.place.users)

    def post(self) -> Any:
        """One of the posts."""
        return self.random.choice(self.place.posts)

    def relate(self, table: str, actor: Any, target: Any, change: Change) -> None:
        """Note what an actor has to do with a target; of users whom everybody shares nobody knows."""
        if actor == self.member.user:
            self.change((table, str(actor), str(target)), change)

    def change(self, register: Register, change: Change) -> None:
        """Note a change, before it is made: a part of it may happen."""
        before = self.changes.get(register, lambda value: value)
        self.changes[register] = lambda value: change(before(value))

    def living(self) -> dict[str, Any]:
        """The own comments that are not deleted."""
        return {marker: id for marker, id in (self.member.comments | self.comments).items() if id is not None}


async def like(a: Attempt) -> None:
    actor, post = a.actor(), a.post()
    a.relate("likes", actor, post, to("there"))
    await a.community.likes.like(actor, "post", post)


async def unlike(a: Attempt) -> None:
    actor, post = a.actor(), a.post()
    a.relate("likes", actor, post, to(None))
    await a.community.likes.unlike(actor, "post", post)


async def toggle(a: Attempt) -> None:
    actor, post = a.actor(), a.post()
    a.relate("likes", actor, post, lambda value: None if value else "there")
    await a.community.likes.toggle(actor, "post", post)


async def write_comment(a: Attempt) -> None:
    """It has a register of its own, so that it can be deleted."""
    marker = f"{a.marker}-{len(a.changes)}"
    a.change(("comments", marker), to("0"))
    a.comments[marker] = None
    comment = await a.community.comments.create(a.post(), a.actor(), f"{marker} 0")
    a.comments[marker] = comment.id


async def delete_comment(a: Attempt) -> None:
    living = a.living()
    if not living:
        await write_comment(a)
        return
    marker = a.random.choice(list(living))
    a.change(("comments", marker), flag("deleted"))
    a.comments[marker] = None
    await a.community.comments.delete(living[marker])


async def write_post(a: Attempt) -> None:
    await a.community.posts.create(a.place.space, a.star(), content=a.text("posts"), content_html="p")


async def award(a: Attempt) -> None:
    await a.community.points.award(a.star(), "post", reference_type="post", reference_id=a.text("points"))


async def notify(a: Attempt) -> None:
    await a.community.notifications.notify(a.star(), a.text("notifications"), actor_id=a.member.user)


async def send(a: Attempt) -> None:
    await a.community.messages.send(a.place.conversation, a.random.choice(a.place.users[:2]), a.text("messages"))


async def enroll(a: Attempt) -> None:
    actor = a.actor()
    a.relate("enrollments", actor, a.place.course, to("there"))
    await a.community.enrollments.enroll(actor, a.place.course)


async def withdraw(a: Attempt) -> None:
    actor = a.actor()
    a.relate("enrollments", actor, a.place.course, to(None))
    await a.community.enrollments.withdraw(actor, a.place.course)


async def answer(a: Attempt) -> None:
    """The refusal is caught: the transaction goes on."""
    actor, status, before = a.actor(), a.random.choice(["going", "going", "maybe", "notGoing"]), a.changes.copy()
    a.relate("rsvps", actor, a.place.event, to(status))
    try:
        await a.community.rsvps.set(actor, a.place.event, status)
    except EventFullError:
        a.changes = before


async def follow(a: Attempt) -> None:
    actor, star = a.actor(), a.star()
    if actor != star:
        a.relate("follows", actor, star, to("there"))
    with suppress(SelfFollowError):
        await a.community.follows.follow(actor, star)


async def rename(a: Attempt) -> None:
    await a.community.users.update_profile(a.star(), name=f"Star {a.random.randrange(1_000)}")


async def be_refused(a: Attempt) -> None:
    """Something that cannot be done, of several kinds."""
    nobody = ObjectId()
    refused: Callable[[], Awaitable[object]] = a.random.choice(
        [
            lambda: a.community.likes.like(a.member.user, "post", nobody),
            lambda: a.community.comments.create(nobody, a.member.user, "c"),
            lambda: a.community.notifications.notify(nobody, "n"),
            lambda: a.community.points.award(nobody, "post"),
            lambda: a.community.enrollments.enroll(nobody, a.place.course),
            lambda: a.community.messages.send(a.place.conversation, a.member.user, "m"),
        ]
    )
    try:
        await refused()
    except (NotFoundError, NotAParticipantError):
        return
    raise AssertionError("it was not refused")


Call = Callable[[], Coroutine[Any, Any, None]]
Step = Callable[[Attempt], Awaitable[None]]

STEPS: list[Step] = [
    *(like, unlike, toggle, write_comment, delete_comment, write_post, award, notify, send, enroll, withdraw, answer),
    *(follow, be_refused),
]
COMPOSED_STEPS = [*STEPS, rename]
"""Alone, a change of name may go on in batches: who cancels it has to call it again."""


async def _alone(a: Attempt) -> None:
    await a.random.choice(STEPS)(a)


async def _several(a: Attempt) -> None:
    for step in a.random.choices(COMPOSED_STEPS, k=a.random.randint(1, MOST_STEPS)):
        await step(a)


async def _and_raise(a: Attempt) -> None:
    await _several(a)
    raise WhimError


async def _and_catch_too_late(a: Attempt) -> None:
    """An error behind a write undoes everything, also where it is caught."""
    await _several(a)

    async def inner() -> None:
        await notify(a)
        raise WhimError

    with suppress(WhimError):
        await a.community.transaction(inner)


async def _and_lose_patience_inside(a: Attempt) -> None:
    await _several(a)
    async with asyncio.timeout(a.random.uniform(0, SOON)):
        await _several(a)


@dataclass(frozen=True)
class Way:
    """How a transaction goes.

    Attributes:
        work: What it does.
        weight: How often in relation to the others.
        end: The error by which it ends, and leaves nothing; `TimeoutError` where it may.
        is_composed: Whether there is a transaction around the work.
        is_cancelled: Whether its task is cancelled after a moment.
    """

    work: Step
    weight: int
    end: type[Exception] | None = None
    is_composed: bool = True
    is_cancelled: bool = False


WAYS = (
    Way(_several, 10),
    Way(_alone, 4, is_composed=False),
    Way(_alone, 2, is_composed=False, is_cancelled=True),
    Way(_several, 3, is_cancelled=True),
    Way(_and_raise, 3, WhimError),
    Way(_and_catch_too_late, 2, DataLayerError),
    Way(_and_lose_patience_inside, 3, TimeoutError),
)


async def _in_time(call: Call, seconds: float) -> None:
    async with asyncio.timeout(seconds):
        await call()


async def _cancelled(call: Call, seconds: float) -> None:
    task = asyncio.ensure_future(call())
    await asyncio.wait([task], timeout=seconds)
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        raise TimeoutError from None


class Company:
    """The tasks of one process."""

    def __init__(self, community: Community, place: Place, name: str) -> None:
        self._community, self._place, self._name = community, place, name
        self._journal = io.StringIO()
        self._ledger = Ledger(journal=self._journal)
        self.account = Account()

    async def work(self, tasks: int, times: int) -> Account:
        """Let each task do so many transactions."""
        async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
            for number in range(tasks):
                name, user = f"{self._name}{number}", await self._new_user()
                member = Member(self._community, self._place, name, user)
                group.create_task(self._task(member, times))
        self.account.journal = self._journal.getvalue().splitlines()
        return self.account

    async def _new_user(self) -> Any:
        return (await self._community.users.create(name="Member")).id

    async def _task(self, member: Member, times: int) -> None:
        for number in range(times):
            choice = Random(f"{member.name}-{number}-way")  # noqa: S311
            (way,) = choice.choices(WAYS, [way.weight for way in WAYS])
            begun = time.monotonic()
            outcome = await self._outcome(member, number, way, choice)
            self.account.outcomes[outcome] += 1
            self.account.longest = max(self.account.longest, time.monotonic() - begun)

    async def _outcome(self, member: Member, number: int, way: Way, choice: Random) -> str:
        """Do it, note what came of it, and say what that is."""
        attempts: list[Attempt] = []
        patience = choice.uniform(0, SOON)

        async def work() -> None:
            attempts.append(Attempt(member, number))
            await way.work(attempts[-1])

        whole: Call = partial(self._community.transaction, work) if way.is_composed else work
        try:
            await (choice.choice((_in_time, _cancelled))(whole, patience) if way.is_cancelled else whole())
        except (WhimError, TimeoutError, DataLayerError) as error:
            # Not one of its subclasses: those are other errors.
            if type(error) is way.end:
                return "undone"
            if not (way.is_cancelled and isinstance(error, TimeoutError)):
                self.account.problems.append(f"{member.name}-{number}, {way.work.__name__}: {error!r}")
            if attempts:
                self._note_unknown(attempts[-1])
            # What is being committed may happen later: the user does not write to that again.
            member.user = await self._new_user()
            return "unknown"
        if way.end is not None and way.end is not TimeoutError:
            self.account.problems.append(f"{member.name}-{number}, {way.work.__name__}: it was committed")
        with self._ledger.changing(attempts[-1].changes):
            member.comments |= attempts[-1].comments
        return "acknowledged"

    def _note_unknown(self, attempt: Attempt) -> None:
        """All of it may have happened, or nothing. What it deleted is not written to again."""
        with suppress(OutcomeUnknownError), self._ledger.changing(attempt.changes):
            raise OutcomeUnknownError
        for marker in attempt.comments:
            attempt.member.comments.pop(marker, None)


def work(uri: str, place: Place, name: str, tasks: int, times: int) -> Account:
    """What a process runs."""

    async def connected() -> Account:
        async with Community.connect(uri, schema="skip") as community:
            return await Company(community, place, name).work(tasks, times)

    return asyncio.run(connected())


@dataclass
class Found:
    """What came of the work of all processes.

    Attributes:
        wrong: What the database holds, and should not: by the ledgers and by the rules.
        problems: The calls that failed, and those that should have.
        outcomes: How many transactions ended in which way.
        longest: How many seconds the longest call took.
    """

    wrong: list[str]
    problems: list[str]
    outcomes: Counter[str]
    longest: float


async def together(community: Community, uri: str, place: Place, name: str, *, tasks: int, times: int) -> Found:
    """Let so many tasks of each process do so many transactions each, and count everything again."""
    ledger = Ledger(observed(await _known(community, place)))
    context = get_context("forkserver")
    # It imports the library once, for all processes.
    context.set_forkserver_preload([__name__])
    loop = asyncio.get_running_loop()
    with ProcessPoolExecutor(PROCESSES, mp_context=context) as pool:
        accounts = await asyncio.gather(
            *(loop.run_in_executor(pool, work, uri, place, f"{name}{n}-", tasks, times) for n in range(PROCESSES))
        )
    for account in accounts:
        for line in account.journal:
            ledger.replay(line)
    return Found(
        wrong=ledger.differences(observed(await _known(community, place))) + await violations(community.database),
        problems=[problem for account in accounts for problem in account.problems],
        outcomes=sum((account.outcomes for account in accounts), Counter()),
        longest=max(account.longest for account in accounts),
    )


async def _known(community: Community, place: Place) -> Data:
    """The rows without the names, and without what the users do whom everybody shares: of that nobody knows."""
    data, shared = await Data.read(community.database), set(place.users)
    actors = {"likes": "userId", "follows": "followerId", "rsvps": "userId", "enrollments": "userId"}
    own = {table: [row for row in data[table] if row[actor] not in shared] for table, actor in actors.items()}
    return Data({**data, **own, "users": []})
