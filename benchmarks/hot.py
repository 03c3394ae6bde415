"""The kinds of work that many tasks do to the same hot document."""

import inspect
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any, Generic, TypeVar, cast

from bson import ObjectId

from benchmarks.work import Row, post
from datalayer import Community
from datalayer.engine.clock import DAY, system_clock
from datalayer.ids import ConversationId, CourseId, EventId, PostId, SpaceId, UserId
from datalayer.repositories import Likes

T = TypeVar("T")

POSTS = 10_000
"""The number of posts of the user who is renamed."""

Authored = tuple[PostId, UserId]
Talk = tuple[ConversationId, tuple[UserId, UserId]]
Writer = tuple[UserId, SpaceId]


@dataclass(frozen=True, slots=True)
class Work(Generic[T]):
    """Work to measure.

    Attributes:
        prepare: Creates the hot document. Its result is sent to other processes, so it must be picklable.
        call: Does the work once, for a user who has not done it to this document before.
        beside: Work that one more task of each process repeats in the meantime.
    """

    prepare: Callable[[Community], Awaitable[T]]
    call: Callable[[Community, T, UserId], Awaitable[object]]
    beside: Callable[[Community, T], Awaitable[object]] | None = None


async def _author(community: Community) -> UserId:
    return (await community.users.create(name="Grace")).id


async def _space(community: Community) -> SpaceId:
    return (await community.spaces.create(name="General")).id


async def _post(community: Community) -> PostId:
    return (await _authored_post(community))[0]


async def _authored_post(community: Community) -> Authored:
    author = await _author(community)
    created = await community.posts.create(await _space(community), author, content="c", content_html="c")
    return created.id, author


async def _event(community: Community) -> EventId:
    start = system_clock() + DAY
    return (await community.events.create(title="Meeting", start_time=start, end_time=start + DAY)).id


async def _course(community: Community) -> CourseId:
    course = await community.courses.create(title="Course")
    return (await community.courses.publish(course.id)).id


async def _conversation(community: Community) -> Talk:
    one, other = await _author(community), await _author(community)
    return (await community.conversations.open(one, other)).id, (one, other)


async def _writer(community: Community) -> Writer:
    return await _author(community), await _space(community)


async def _prolific_writer(community: Community) -> Writer:
    author, space = await _writer(community)
    copies = {"authorId": author, "authorName": "Grace"}
    rows: list[Row] = [{"_id": ObjectId(), **post(space, number), **copies} for number in range(POSTS)]
    for row in rows:
        # The author has none.
        del row["authorAvatar"]
    await community.database.posts.insert_many(rows)
    return author, space


async def _send(community: Community, talk: Talk, user_id: UserId) -> object:
    conversation, participants = talk
    # Both write.
    return await community.messages.send(conversation, participants[hash(user_id) % 2], "Hello")


async def _award(community: Community, receiver: UserId, user_id: UserId) -> object:
    return await community.points.award(
        receiver, "like_received", reference_type="like", reference_id=f"user:{receiver}:{user_id}"
    )


async def _write(community: Community, writer: Writer, _: UserId) -> object:
    author, space = writer
    return await community.posts.create(space, author, content="c", content_html="c")


async def _like(community: Community, post_id: PostId, user_id: UserId) -> object:
    return await community.likes.like(user_id, "post", post_id)


async def _like_with_consequences(community: Community, post_id: PostId, user_id: UserId) -> object:
    like = cast("Callable[..., Awaitable[object]]", community.likes.like)
    return await like(user_id, "post", post_id, reward=True, notify=True)


async def _composed(community: Community, hot: Authored, user_id: UserId) -> object:
    post_id, author = hot

    async def work() -> None:
        await community.likes.like(user_id, "post", post_id)
        reference = f"post:{post_id}:{user_id}"
        await community.points.award(author, "like_received", reference_type="like", reference_id=reference)
        await community.notifications.notify(author, "like", actor_id=user_id)

    return await community.transaction(work)


_names: Iterator[int] = count()


async def _rename(community: Community, writer: Writer) -> object:
    return await community.users.update_profile(writer[0], name=f"Grace {next(_names)}")


LIKE, CONSEQUENCES, COMPOSED = "like", "like+reward+notify", "composed"

WORKS: dict[str, Work[Any]] = {
    LIKE: Work(_post, _like),
    "answer": Work(_event, lambda c, event, user: c.rsvps.set(user, event, "going")),
    "enroll": Work(_course, lambda c, course, user: c.enrollments.enroll(user, course)),
    "message": Work(_conversation, _send),
    "comment": Work(_post, lambda c, post_id, user: c.comments.create(post_id, user, "Well said.")),
    "award": Work(_author, _award),
    "post": Work(_writer, _write),
    CONSEQUENCES: Work(_post, _like_with_consequences),
    COMPOSED: Work(_authored_post, _composed),
}
"""By name; measured in all shapes."""

WRITING, RENAMING = "write as one person", "rename"

BESIDE: dict[str, Work[Any]] = {
    WRITING: Work(_prolific_writer, _write),
    RENAMING: Work(_prolific_writer, _write, _rename),
}
"""The same work, without and with something beside it."""


def missing(name: str) -> str | None:
    """Why the work of this name cannot be done, or `None`."""
    if name != CONSEQUENCES:
        return None
    absent = sorted({"reward", "notify"} - inspect.signature(Likes.like).parameters.keys())
    return f"`likes.like` has no {' and no '.join(f'`{parameter}`' for parameter in absent)}" if absent else None
