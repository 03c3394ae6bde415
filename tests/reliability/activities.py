"""Courses, events and points; and what belongs to several tables at once."""

from typing import Any

from datalayer.errors import EventFullError, InvalidInputError
from tests.reliability.ledger import to
from tests.reliability.observed import TOGETHER
from tests.reliability.worker import Operation, Worker


async def enroll(w: Worker) -> Any:
    me, course = w.user(), w.world.courses[0]
    with w.ledger.changing({("enrollments", str(me), str(course)): to("there")}):
        await w.community.enrollments.enroll(me, course)
    return me


async def complete(w: Worker) -> None:
    me, lesson = await enroll(w), w.pick(w.world.lessons)
    with w.ledger.changing({("lessonProgress", str(me), str(lesson)): to("there")}):
        await w.community.lesson_progress.complete(me, lesson)


async def reopen(w: Worker) -> None:
    me, lesson = w.user(), w.pick(w.world.lessons)
    with w.ledger.changing({("lessonProgress", str(me), str(lesson)): to(None)}):
        await w.community.lesson_progress.reopen(me, lesson)


async def leave(w: Worker) -> None:
    me, course = w.user(), w.world.courses[0]
    progress = {("lessonProgress", str(me), str(lesson)): to(None) for lesson in w.world.lessons}
    with w.ledger.changing({("enrollments", str(me), str(course)): to(None), **progress}):
        await w.community.enrollments.withdraw(me, course)


async def rsvp(w: Worker) -> None:
    me, event, answer = w.user(), w.pick(w.world.events), w.pick(["going", "maybe", "notGoing"])
    with w.ledger.changing({("rsvps", str(me), str(event)): to(answer)}):
        await w.community.rsvps.set(me, event, answer)


async def cancel(w: Worker) -> None:
    me, event = w.user(), w.pick(w.world.events)
    with w.ledger.changing({("rsvps", str(me), str(event)): to(None)}):
        await w.community.rsvps.withdraw(me, event)


async def award(w: Worker) -> None:
    marker = w.marker()
    with w.ledger.changing({("points", marker): to("0")}):
        await w.community.points.award(w.user(), "post", reference_type="post", reference_id=f"{marker} 0")


async def together(w: Worker) -> None:
    """A post that is rewarded, announced and commented: all of it or nothing."""
    text, (me, other) = f"{w.marker(TOGETHER)} 0", (user.id for user in w.users)

    async def work() -> None:
        room = w.pick(w.world.rooms)
        post = await w.community.posts.create(room, me, content=text, content_html="p")
        await w.community.points.award(me, "post", reference_type="post", reference_id=text)
        await w.community.comments.create(post.id, other, text)
        await w.community.notifications.notify(other, text, actor_id=me)

    tables = "comments notifications points posts"
    with w.ledger.changing({(TOGETHER, text.partition(" ")[0]): to(tables)}):
        await w.community.transaction(work)


async def reorder_lessons(w: Worker) -> None:
    module = w.pick(w.world.modules)
    ids = [lesson.id for lesson in await w.community.lessons.in_module(module)]
    w.random.shuffle(ids)
    await w.community.lessons.reorder(module, ids)


OPERATIONS = (
    Operation(enroll, 2),
    Operation(complete, 4),
    Operation(reopen, 2),
    Operation(leave, 1),
    Operation(rsvp, 6, (EventFullError,)),
    Operation(cancel, 3),
    Operation(award, 5),
    Operation(together, 5),
    Operation(reorder_lessons, 1, (InvalidInputError,)),
)
