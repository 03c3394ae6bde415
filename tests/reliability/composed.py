"""Random methods that are composed in transactions, on a few documents that everybody writes to."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from random import Random
from typing import Any

from bson import ObjectId

from datalayer import Community
from datalayer.engine.clock import DAY
from datalayer.errors import (
    EventFullError,
    NotAParticipantError,
    NotFoundError,
    SelfFollowError,
)
from tests.reliability.ledger import Change, Register, flag, to
from tests.reliability.observed import TOGETHER

SEATS = 2


@dataclass(frozen=True)
class HotDocuments:
    """The documents that everybody writes to, by their ids."""

    users: list[Any]
    space: Any
    posts: list[Any]
    conversation: Any
    course: Any
    event: Any

    @classmethod
    async def create(cls, community: Community) -> "HotDocuments":
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


class Member:
    """A task with a user of its own: no other task changes what that user likes, follows or attends.

    Attributes:
        comments: The ids of its comments, by marker; `None` for those that it may have deleted.
    """

    def __init__(self, community: Community, hot: HotDocuments, name: str, user: Any) -> None:
        self.community, self.hot, self.name, self.user = community, hot, name, user
        self.comments: dict[str, Any] = {}


class Attempt:
    """One run of the work of a transaction. The next attempt at the same transaction makes the same choices.

    Attributes:
        marker: The first word of the texts that it writes.
        changes: What it changes, as the ledger has it.
        comments: The ids of the comments that it creates, by marker; `None` for those that it deletes.
    """

    def __init__(self, member: Member, number: int) -> None:
        self.community, self.hot, self.member = member.community, member.hot, member
        self.random = Random(f"{member.name}-{number}")  # noqa: S311 - the same choices again, no secret
        self.changes: dict[Register, Change] = {}
        self.comments: dict[str, Any] = {}
        self.marker, self._tables = f"{member.name}-{number}", list[str]()

    def text(self, table: str) -> str:
        """The text of a new document in this table. The ledger has one register for all of a transaction's texts."""
        self._tables.append(table)
        self.changes[TOGETHER, f"{TOGETHER}{self.marker}"] = to(" ".join(sorted(self._tables)))
        return f"{TOGETHER}{self.marker} {len(self._tables)}"

    def actor(self) -> Any:
        """The task's own user, or sometimes a hot one."""
        return self.random.choice([self.member.user, self.member.user, self.star()])

    def star(self) -> Any:
        """One of the hot users."""
        return self.random.choice(self.hot.users)

    def post(self) -> Any:
        """One of the posts."""
        return self.random.choice(self.hot.posts)

    def maybe(self) -> bool:
        """Whether a call has a consequence."""
        return self.random.random() < 0.5

    def relate(self, table: str, actor: Any, target: Any, change: Change) -> None:
        """Note a change of a like, a follow and so on. Those of the hot users are not predictable, and not noted."""
        if actor == self.member.user:
            self.change((table, str(actor), str(target)), change)

    def change(self, register: Register, change: Change) -> None:
        """Note a change. Call it before the method: a call that is cancelled may have happened."""
        before = self.changes.get(register, lambda value: value)
        self.changes[register] = lambda value: change(before(value))

    def living(self) -> dict[str, Any]:
        """The task's comments that are not deleted, by marker."""
        return {marker: id for marker, id in (self.member.comments | self.comments).items() if id is not None}


async def like(a: Attempt) -> None:
    actor, post = a.actor(), a.post()
    a.relate("likes", actor, post, to("there"))
    await a.community.likes.like(actor, "post", post, reward=a.maybe(), notify=a.maybe())


async def unlike(a: Attempt) -> None:
    actor, post = a.actor(), a.post()
    a.relate("likes", actor, post, to(None))
    await a.community.likes.unlike(actor, "post", post)


async def toggle(a: Attempt) -> None:
    actor, post = a.actor(), a.post()
    a.relate("likes", actor, post, lambda value: None if value else "there")
    await a.community.likes.toggle(actor, "post", post, reward=a.maybe(), notify=a.maybe())


async def write_comment(a: Attempt) -> None:
    """It has a register of its own, so that it can be deleted."""
    marker = f"{a.marker}-{len(a.changes)}"
    a.change(("comments", marker), to("0"))
    a.comments[marker] = None
    comment = await a.community.comments.create(a.post(), a.actor(), f"{marker} 0", reward=a.maybe(), notify=a.maybe())
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
    await a.community.posts.create(a.hot.space, a.star(), content=a.text("posts"), content_html="p", reward=a.maybe())


async def award(a: Attempt) -> None:
    await a.community.points.award(a.star(), "post", reference_type="post", reference_id=a.text("points"))


async def notify(a: Attempt) -> None:
    await a.community.notifications.notify(a.star(), a.text("notifications"), actor_id=a.member.user)


async def send(a: Attempt) -> None:
    await a.community.messages.send(
        a.hot.conversation, a.random.choice(a.hot.users[:2]), a.text("messages"), notify=a.maybe()
    )


async def enroll(a: Attempt) -> None:
    actor = a.actor()
    a.relate("enrollments", actor, a.hot.course, to("there"))
    await a.community.enrollments.enroll(actor, a.hot.course, reward=a.maybe(), notify=a.maybe())


async def withdraw(a: Attempt) -> None:
    actor = a.actor()
    a.relate("enrollments", actor, a.hot.course, to(None))
    await a.community.enrollments.withdraw(actor, a.hot.course)


async def answer(a: Attempt) -> None:
    """The refusal is caught: the transaction goes on."""
    actor, status, before = a.actor(), a.random.choice(["going", "going", "going", "maybe"]), a.changes.copy()
    a.relate("rsvps", actor, a.hot.event, to(status))
    try:
        await a.community.rsvps.set(actor, a.hot.event, status, reward=a.maybe(), notify=a.maybe())
    except EventFullError:
        a.changes = before


async def follow(a: Attempt) -> None:
    actor, star = a.actor(), a.star()
    if actor != star:
        a.relate("follows", actor, star, to("there"))
    with suppress(SelfFollowError):
        await a.community.follows.follow(actor, star, notify=a.maybe())


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
            lambda: a.community.enrollments.enroll(nobody, a.hot.course),
            lambda: a.community.messages.send(a.hot.conversation, a.member.user, "m"),
        ]
    )
    try:
        await refused()
    except (NotFoundError, NotAParticipantError):
        return
    raise AssertionError("it was not refused")


Step = Callable[[Attempt], Awaitable[None]]

STEPS: list[Step] = [
    *(like, unlike, toggle, write_comment, delete_comment, write_post, award, notify, send, enroll, withdraw, answer),
    *(follow, be_refused),
]
COMPOSED_STEPS = [*STEPS, rename]
"""Alone, a change of name may go on in batches: who cancels it has to call it again."""
