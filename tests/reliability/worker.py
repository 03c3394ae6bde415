"""What one task of a load does: each operation writes down what it changes."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import Any, Literal

from datalayer import Community, Stories
from datalayer.errors import (
    AlreadyExistsError,
    DataLayerError,
    EventFullError,
    InvalidInputError,
    NotFoundError,
    PinLimitError,
    StaleGenerationError,
    UnavailableError,
)
from tests.reliability.ledger import Change, Ledger, flag, no_flag, to, version
from tests.reliability.observed import TOGETHER
from tests.reliability.world import World

OWN = 12
"""How many of its own documents of a kind a task goes on writing to."""


@dataclass(frozen=True)
class Thing:
    """A document of the worker's own, whose creation was acknowledged."""

    marker: str
    id: Any


class Worker:
    """Two users and what they do. Nobody else writes to what is theirs; all write to the world."""

    def __init__(self, name: str, world: World, community: Community, stories: Stories, ledger: Ledger) -> None:
        self.name, self.world, self.community, self.stories, self.ledger = name, world, community, stories, ledger
        self.random = Random(name)
        self._count = 0
        self._users: list[Thing] = []
        self._posts: deque[Thing] = deque(maxlen=OWN)
        self._comments: deque[tuple[Thing, Any]] = deque(maxlen=OWN)
        self._messages: deque[Thing] = deque(maxlen=OWN)
        self._told: deque[tuple[Thing, Any]] = deque(maxlen=OWN)
        self._scenes: deque[Thing] = deque()
        self._unread: list[str] = []
        self._talk: Any = None

    def choose(self) -> str:
        """The name of what is to be done next."""
        if len(self._users) < 2:
            return "arrive"
        (name,) = self.random.choices(list(OPERATIONS), [weight for weight, _ in OPERATIONS.values()])
        return name

    def _marker(self, kind: str = "") -> str:
        self._count += 1
        return f"{kind}{self.name}-{self._count}"

    def _pick(self, things: Any) -> Any:
        return things[self.random.randrange(len(things))]

    def _user(self) -> Any:
        return self._pick(self._users).id

    async def _pick_post(self) -> Thing:
        if not self._posts:
            await self.post()
        return self._pick(self._posts)

    # People

    async def arrive(self) -> None:
        marker = self._marker()
        with self.ledger.changing({("users", marker): to("0")}):
            user = await self.community.users.create(name=f"{marker} 0")
        self._users = [*self._users, Thing(marker, user.id)][-2:]
        self._talk, self._unread = None, []
        self._told.clear()

    async def rename(self) -> None:
        user, number = self._pick(self._users), str(self.random.randrange(1_000))
        with self.ledger.changing({("users", user.marker): version(number)}):
            # What a failure leaves of a change in batches is completed by calling it again.
            while True:
                try:
                    await self.community.users.update_profile(user.id, name=f"{user.marker} {number}")
                except UnavailableError:
                    continue
                break

    async def follow(self) -> None:
        me, star = self._user(), self._pick(self.world.stars)
        with self.ledger.changing({("follows", str(me), str(star)): to("there")}):
            await self.community.follows.follow(me, star)

    async def unfollow(self) -> None:
        me, star = self._user(), self._pick(self.world.stars)
        with self.ledger.changing({("follows", str(me), str(star)): to(None)}):
            await self.community.follows.unfollow(me, star)

    async def talk(self) -> None:
        one, other = (user.id for user in self._users)
        if self._talk is None:
            self._talk = (await self.community.conversations.open(one, other)).id
        marker = self._marker()
        # Before it is sent: where nobody knows whether it was, the other may read it all the same.
        self._unread.append(marker)
        with self.ledger.changing({("messages", marker): to("0")}):
            message = await self.community.messages.send(self._talk, one, f"{marker} 0")
        self._messages.append(Thing(marker, message.id))

    async def listen(self) -> None:
        if self._talk is None:
            await self.talk()
        with self.ledger.changing({("messages", marker): _read for marker in self._unread}):
            await self.community.messages.mark_read(self._talk, self._users[1].id)
        self._unread.clear()

    async def unsay(self) -> None:
        if not self._messages:
            await self.talk()
        await self._remove_and_restore(self.community.messages, self._messages.popleft())

    async def notify(self) -> None:
        me, other = (user.id for user in self._users)
        marker = self._marker()
        with self.ledger.changing({("notifications", marker): to("0")}):
            told = await self.community.notifications.notify(me, f"{marker} 0", actor_id=other)
        assert told is not None
        self._told.append((Thing(marker, told.id), me))

    async def read_notification(self) -> None:
        if not self._told:
            await self.notify()
        told, reader = self._pick(self._told)
        with self.ledger.changing({("notifications", told.marker): flag("read")}):
            await self.community.notifications.mark_read(reader, told.id)

    # Content

    async def post(self) -> None:
        marker = self._marker()
        with self.ledger.changing({("posts", marker): to("0")}):
            where = self._pick(self.world.rooms), self._user()
            post = await self.community.posts.create(*where, content=f"{marker} 0", content_html="p")
        self._posts.append(Thing(marker, post.id))

    async def edit_post(self) -> None:
        post, number = await self._pick_post(), str(self.random.randrange(1_000))
        with self.ledger.changing({("posts", post.marker): version(number)}):
            await self.community.posts.edit(post.id, content=f"{post.marker} {number}")

    async def remove_post(self) -> None:
        post = await self._pick_post()
        self._posts.remove(post)
        await self._remove_and_restore(self.community.posts, post)

    async def pin(self) -> None:
        post = await self._pick_post()
        with self.ledger.changing({("posts", post.marker): flag("pinned")}):
            await self.community.posts.pin(post.id)

    async def unpin(self) -> None:
        post = await self._pick_post()
        with self.ledger.changing({("posts", post.marker): no_flag("pinned")}):
            await self.community.posts.unpin(post.id)

    async def comment(self) -> None:
        marker = self._marker()
        post = self._pick(self.world.posts) if self.random.random() < 0.5 else (await self._pick_post()).id
        parents = [comment.id for comment, where in self._comments if where == post]
        parent = self._pick(parents) if parents else None
        with self.ledger.changing({("comments", marker): to("0")}):
            comment = await self.community.comments.create(post, self._user(), f"{marker} 0", parent_id=parent)
        self._comments.append((Thing(marker, comment.id), post))

    async def edit_comment(self) -> None:
        if not self._comments:
            await self.comment()
        (comment, _), number = self._pick(self._comments), str(self.random.randrange(1_000))
        with self.ledger.changing({("comments", comment.marker): version(number)}):
            await self.community.comments.edit(comment.id, f"{comment.marker} {number}")

    async def remove_comment(self) -> None:
        if not self._comments:
            await self.comment()
        comment, _ = self._comments.popleft()
        await self._remove_and_restore(self.community.comments, comment)

    async def like(self) -> None:
        await self._like("like", to("there"))

    async def unlike(self) -> None:
        await self._like("unlike", to(None))

    async def toggle(self) -> None:
        await self._like("toggle", lambda value: None if value else "there")

    async def _like(self, wish: Literal["like", "unlike", "toggle"], change: Change) -> None:
        me, post = self._user(), self._pick(self.world.posts)
        register = ("likes", str(me), str(post))
        with self.ledger.changing({register: change}):
            result = await getattr(self.community.likes, wish)(me, "post", post)
        self.ledger.found(register, "there" if result.liked else None)

    async def report(self) -> None:
        marker = self._marker()
        with self.ledger.changing({("reports", marker): to("0")}):
            await self.community.reports.file(self._user(), "post", self._pick(self.world.posts), f"{marker} 0")

    async def resolve(self) -> None:
        await self.community.reports.resolve("post", self._pick(self.world.posts), resolver_id=self.world.stars[0])

    # Courses, events, points

    async def enroll(self) -> Any:
        me, course = self._user(), self.world.courses[0]
        with self.ledger.changing({("enrollments", str(me), str(course)): to("there")}):
            await self.community.enrollments.enroll(me, course)
        return me

    async def complete(self) -> None:
        me, lesson = await self.enroll(), self._pick(self.world.lessons)
        with self.ledger.changing({("lessonProgress", str(me), str(lesson)): to("there")}):
            await self.community.lesson_progress.complete(me, lesson)

    async def reopen(self) -> None:
        me, lesson = self._user(), self._pick(self.world.lessons)
        with self.ledger.changing({("lessonProgress", str(me), str(lesson)): to(None)}):
            await self.community.lesson_progress.reopen(me, lesson)

    async def leave(self) -> None:
        me, course = self._user(), self.world.courses[0]
        progress = {("lessonProgress", str(me), str(lesson)): to(None) for lesson in self.world.lessons}
        with self.ledger.changing({("enrollments", str(me), str(course)): to(None), **progress}):
            await self.community.enrollments.withdraw(me, course)

    async def rsvp(self) -> None:
        me, event, answer = self._user(), self._pick(self.world.events), self._pick(["going", "maybe", "notGoing"])
        with self.ledger.changing({("rsvps", str(me), str(event)): to(answer)}):
            await self.community.rsvps.set(me, event, answer)

    async def cancel(self) -> None:
        me, event = self._user(), self._pick(self.world.events)
        with self.ledger.changing({("rsvps", str(me), str(event)): to(None)}):
            await self.community.rsvps.withdraw(me, event)

    async def award(self) -> None:
        marker = self._marker()
        with self.ledger.changing({("points", marker): to("0")}):
            await self.community.points.award(self._user(), "post", reference_type="post", reference_id=f"{marker} 0")

    async def together(self) -> None:
        """A post that is rewarded, announced and commented: all of it or nothing."""
        text, (me, other) = f"{self._marker(TOGETHER)} 0", (user.id for user in self._users)

        async def work() -> None:
            room = self._pick(self.world.rooms)
            post = await self.community.posts.create(room, me, content=text, content_html="p")
            await self.community.points.award(me, "post", reference_type="post", reference_id=text)
            await self.community.comments.create(post.id, other, text)
            await self.community.notifications.notify(other, text, actor_id=me)

        tables = "comments notifications points posts"
        with self.ledger.changing({(TOGETHER, text.split()[0]): to(tables)}):
            await self.community.transaction(work)

    # Orders

    async def reorder_lessons(self) -> None:
        module = self._pick(self.world.modules)
        ids = [lesson.id for lesson in await self.community.lessons.in_module(module)]
        self.random.shuffle(ids)
        await self.community.lessons.reorder(module, ids)

    async def reorder_spaces(self) -> None:
        ids = [space.id for space in await self.community.spaces.list()]
        self.random.shuffle(ids)
        await self.community.spaces.reorder(ids)

    async def remove_space(self) -> None:
        await self.community.spaces.delete(self._pick(self.world.spaces))

    async def restore_space(self) -> None:
        await self.community.spaces.restore(self._pick(self.world.spaces))

    # Scenes

    async def scene(self) -> None:
        if len(self._scenes) == 3:
            await self.remove_scene()
        marker = self._marker()
        with self.ledger.changing({("scenes", marker): to("0 draft")}):
            scene = await self.stories.scenes.create(self._pick(self.world.chapters), f"{marker} 0")
        self._scenes.append(Thing(marker, scene.id))

    async def move_scene(self) -> None:
        if not self._scenes:
            await self.scene()
        await self.stories.scenes.move(self._pick(self._scenes).id, self.random.randrange(1, 6))

    async def remove_scene(self) -> None:
        if not self._scenes:
            await self.scene()
        scene = self._scenes.popleft()
        with self.ledger.changing({("scenes", scene.marker): to(None)}):
            await self.stories.scenes.delete(scene.id)

    async def generate(self) -> None:
        if not self._scenes:
            await self.scene()
        # Not picked again where the outcome is unknown: then nobody has the token of the run.
        scene = self._scenes.popleft()
        register = ("scenes", scene.marker)
        with self.ledger.changing({register: to("0 generating")}):
            ticket = await self.stories.scenes.request_generation(scene.id)
        with self.ledger.changing({register: to("0 complete")}):
            await self._hand_in(ticket.token)
        self._scenes.append(scene)

    async def _hand_in(self, token: Any) -> None:
        """As `complete_generation` says: where the outcome is unknown it is called again, and may have succeeded."""
        unknown = False
        while True:
            try:
                await self.stories.scenes.complete_generation(token, "Prose.")
            except UnavailableError:
                unknown = True
                continue
            except StaleGenerationError:
                assert unknown
            return

    # Reading

    async def feed(self) -> None:
        await self.community.posts.feed(self._pick(self.world.rooms))

    async def thread(self) -> None:
        await self.community.comments.thread(self._pick(self.world.posts))

    async def inbox(self) -> None:
        await self.community.conversations.inbox(self._user())

    async def own_post(self) -> None:
        """What was acknowledged is read at once."""
        post = await self._pick_post()
        found = await self.community.posts.get(post.id)
        value = " ".join([found.content.split()[1], *(["pinned"] if found.pinned_at else [])])
        assert value in self.ledger.possible(("posts", post.marker)), (post, value)

    async def _remove_and_restore(self, repository: Any, thing: Thing) -> None:
        register = (repository.document.Settings.name, thing.marker)
        with self.ledger.changing({register: lambda value: flag("deleted")(no_flag("pinned")(value))}):
            await repository.delete(thing.id)
        if self.random.random() < 0.7:
            with self.ledger.changing({register: no_flag("deleted")}):
                await repository.restore(thing.id)


def _read(value: str | None) -> str | None:
    """A deleted message stays unread."""
    return value if value is None or "deleted" in value else flag("read")(value)


READS = {"feed", "thread", "inbox", "own_post"}

OPERATIONS: Mapping[str, tuple[int, tuple[type[DataLayerError], ...]]] = {
    "arrive": (1, ()),
    "rename": (2, ()),
    "follow": (3, ()),
    "unfollow": (2, ()),
    "talk": (5, ()),
    "listen": (3, ()),
    "unsay": (2, ()),
    "notify": (4, ()),
    "read_notification": (3, ()),
    "post": (6, ()),
    "edit_post": (5, ()),
    "remove_post": (2, ()),
    "pin": (3, (PinLimitError,)),
    "unpin": (2, ()),
    "comment": (6, ()),
    "edit_comment": (3, ()),
    "remove_comment": (2, ()),
    "like": (6, ()),
    "unlike": (4, ()),
    "toggle": (6, ()),
    "report": (3, (AlreadyExistsError,)),
    "resolve": (1, ()),
    "enroll": (2, ()),
    "complete": (4, ()),
    "reopen": (2, ()),
    "leave": (1, ()),
    "rsvp": (6, (EventFullError,)),
    "cancel": (3, ()),
    "award": (5, ()),
    "together": (5, ()),
    "reorder_lessons": (1, (InvalidInputError,)),
    "reorder_spaces": (1, (InvalidInputError,)),
    "remove_space": (1, (NotFoundError,)),
    "restore_space": (1, ()),
    "scene": (4, ()),
    "move_scene": (2, (InvalidInputError,)),
    "remove_scene": (2, ()),
    "generate": (3, ()),
    **dict.fromkeys(sorted(READS), (4, ())),
}
"""What a task does: how often in relation to the others, and which refusals are an answer as good as any."""
