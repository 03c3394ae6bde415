"""What people do with their profiles, and tell each other."""

from datalayer.errors import UnavailableError
from tests.reliability.ledger import flag, to, version
from tests.reliability.worker import Operation, Thing, Worker


async def arrive(w: Worker) -> None:
    marker = w.marker()
    with w.ledger.changing({("users", marker): to("0")}):
        user = await w.community.users.create(name=f"{marker} 0")
    w.users = [*w.users, Thing(marker, user.id)][-2:]
    w.conversation, w.unread = None, []
    w.notifications.clear()


async def rename(w: Worker) -> None:
    user, number = w.pick(w.users), w.number()
    with w.ledger.changing({("users", user.marker): version(number)}):
        # What a failure leaves of a change in batches is completed by calling it again.
        while True:
            try:
                await w.community.users.update_profile(user.id, name=f"{user.marker} {number}")
            except UnavailableError:
                continue
            break


async def follow(w: Worker) -> None:
    me, star = w.user(), w.pick(w.world.stars)
    with w.ledger.changing({("follows", str(me), str(star)): to("there")}):
        await w.community.follows.follow(me, star)


async def unfollow(w: Worker) -> None:
    me, star = w.user(), w.pick(w.world.stars)
    with w.ledger.changing({("follows", str(me), str(star)): to(None)}):
        await w.community.follows.unfollow(me, star)


async def send(w: Worker) -> None:
    one, other = (user.id for user in w.users)
    if w.conversation is None:
        w.conversation = (await w.community.conversations.open(one, other)).id
    marker = w.marker()
    # Before it is sent: where nobody knows whether it was, the other may read it all the same.
    w.unread.append(marker)
    with w.ledger.changing({("messages", marker): to("0")}):
        message = await w.community.messages.send(w.conversation, one, f"{marker} 0")
    w.messages.append(Thing(marker, message.id))


async def read_messages(w: Worker) -> None:
    if w.conversation is None:
        await send(w)
    with w.ledger.changing({("messages", marker): _read for marker in w.unread}):
        await w.community.messages.mark_read(w.conversation, w.users[1].id)
    w.unread.clear()


async def remove_message(w: Worker) -> None:
    if not w.messages:
        await send(w)
    await w.remove_and_restore(w.community.messages, w.messages.popleft())


async def notify(w: Worker) -> None:
    me, other = (user.id for user in w.users)
    marker = w.marker()
    with w.ledger.changing({("notifications", marker): to("0")}):
        told = await w.community.notifications.notify(me, f"{marker} 0", actor_id=other)
    assert told is not None
    w.notifications.append((Thing(marker, told.id), me))


async def read_notification(w: Worker) -> None:
    if not w.notifications:
        await notify(w)
    told, reader = w.pick(w.notifications)
    with w.ledger.changing({("notifications", told.marker): flag("read")}):
        await w.community.notifications.mark_read(reader, told.id)


async def inbox(w: Worker) -> None:
    await w.community.conversations.inbox(w.user())


def _read(value: str | None) -> str | None:
    """A deleted message stays unread."""
    return value if value is None or "deleted" in value else flag("read")(value)


OPERATIONS = (
    Operation(arrive, 1),
    Operation(rename, 2),
    Operation(follow, 3),
    Operation(unfollow, 2),
    Operation(send, 5),
    Operation(read_messages, 3),
    Operation(remove_message, 2),
    Operation(notify, 4),
    Operation(read_notification, 3),
    Operation(inbox, 4, writes=False),
)
