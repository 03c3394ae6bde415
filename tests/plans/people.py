"""Example calls: the people, and what they tell each other."""

from typing import Any

from bson import ObjectId

from tests.plans.calls import Call, Cost, pages
from tests.plans.world import World

LIMIT = 5

COUNTED: Cost = {"why": "a key for each user counted"}
COPIES: Cost = {"why": "a key for each copy counted, 501 at most"}


async def _account(w: World) -> str:
    user = (await w.c.users.ensure("account")).user
    assert user.auth_user_id is not None
    return user.auth_user_id


async def _account_only(w: World) -> str:
    await w.c.users.create(auth_user_id="account")
    return "account"


async def _admin(w: World) -> Any:
    """One of two."""
    other = await _member(w)
    await w.c.users.set_role(other, "admin")
    return other


async def _newcomer(w: World) -> Any:
    return (await w.c.users.create(name="New")).id


async def _member(w: World) -> Any:
    return (await w.one("users", role="member"))["_id"]


async def _customer(w: World) -> dict[str, Any]:
    return await w.one("memberships", stripeSubscriptionId={"$exists": True}, stripeCustomerId={"$exists": True})


def _event(w: World, **whose: Any) -> Any:
    return w.c.memberships.apply_stripe_event(event_id="evt", created=w.now, status="active", **whose)


async def _applied(w: World) -> dict[str, Any]:
    customer = await _customer(w)
    await _event(w, customer_id=customer["stripeCustomerId"])
    return customer


async def _others(w: World) -> list[Any]:
    return [id for id in await w.ids("users") if id != w.author]


async def _others_of_whom_some_know(w: World) -> list[Any]:
    others = await _others(w)
    await w.c.notifications.notify_many(others[:5], "news", once="fair")
    return others


async def _liked(w: World, user: Any, actor: Any) -> Any:
    return await w.c.notifications.notify(user, "like", actor_id=actor, gather=f"post:{w.post}")


async def _gathered(w: World) -> Any:
    """Somebody else who likes it too."""
    await _liked(w, w.author, w.talker)
    return await _newcomer(w)


async def _pair(w: World) -> list[Any]:
    return (await w.one("conversations", _id=w.conversation))["participantIds"]


async def _strangers(w: World) -> list[Any]:
    users = await w.ids("users")
    taken = [row["participantIds"] async for row in w.quiet.conversations.find()]
    return next([users[0], id] for id in users[1:] if sorted([users[0], id]) not in taken)


async def _new_messages(w: World) -> list[Any]:
    one, other = await _pair(w)
    for _ in range(10):
        await w.c.messages.send(w.conversation, one, "hello")
    return [one, other]


async def _at_this_moment(w: World) -> Any:
    """The conversation's newest message is of now, and has the greatest of all ids."""
    one, other = await _pair(w)
    message = await w.c.messages.send(w.conversation, one, "hello")
    row = message.to_wire() | {"_id": ObjectId(b"\xff" * 12)}
    await w.c.database.messages.insert_one(row)
    return other


async def _said_now(w: World) -> Any:
    """The conversation's newest message is of now."""
    sender, other = await _pair(w)
    await w.c.messages.send(w.conversation, sender, "hello")
    return other


async def _told(w: World) -> Any:
    """The other one has an unread notification of the conversation."""
    sender, _ = await _pair(w)
    await w.c.messages.send(w.conversation, sender, "hello", notify=True)
    return sender


async def _said(w: World) -> Any:
    return (await w.one("messages", conversationId=w.conversation, deletedAt=None))["_id"]


async def _said_alone(w: World) -> Any:
    conversation = await w.c.conversations.open(*await _strangers(w))
    return (await w.c.messages.send(conversation.id, conversation.participant_ids[0], "hello")).id


async def _unsaid(w: World) -> Any:
    id = await _said(w)
    await w.c.messages.delete(id)
    return id


async def _history(w: World, after: str | None) -> Any:
    message = await w.one("messages", conversationId=w.conversation)
    return await w.c.messages.history(w.conversation, reader_id=message["senderId"], limit=2, after=after)


USERS = [
    Call("users.create", lambda w: w.c.users.create(name="New", auth_user_id="account")),
    Call("users.ensure", lambda w: w.c.users.ensure("account"), "new"),
    Call("users.ensure", lambda w, account: w.c.users.ensure(account), "there", before=_account),
    Call("users.ensure", lambda w, account: w.c.users.ensure(account), "without membership", before=_account_only),
    Call("users.by_auth_user_id", lambda w, account: w.c.users.by_auth_user_id(account), before=_account),
    Call("users.update_profile", lambda w: w.c.users.update_profile(w.author, bio="new"), "no copies"),
    Call(
        "users.update_profile",
        lambda w: w.c.users.update_profile(w.talker, name="New", avatar_storage_id="file"),
        "name and avatar",
        **COPIES,
    ),
    Call("users.update_profile", lambda w: w.c.users.update_profile(w.talker, name=None), "no name", **COPIES),
    Call(
        "users.update_notification_prefs",
        lambda w: w.c.users.update_notification_prefs(w.author, email_events=False),
    ),
    Call("users.set_role", lambda w, member: w.c.users.set_role(member, "moderator"), "member", before=_member),
    Call("users.set_role", lambda w, member: w.c.users.set_role(member, "member"), "no change", before=_member),
    Call("users.set_role", lambda w, admin: w.c.users.set_role(admin, "member"), "admin", before=_admin),
    Call("users.set_role", lambda w, it: w.c.users.set_role(it, "admin", notify=True), "told", before=_member),
    Call("users.set_role", lambda w, it: w.c.users.set_role(it, "member", notify=True), "admin, told", before=_admin),
    Call("users.delete", lambda w: w.c.users.delete(w.earner), "member"),
    Call("users.delete", lambda w, admin: w.c.users.delete(admin), "admin", before=_admin),
    *pages("users.by_role", lambda w, after: w.c.users.by_role("member", limit=LIMIT, after=after)),
    *pages("users.directory", lambda w, after: w.c.users.directory(limit=LIMIT, after=after), "points"),
    *pages("users.directory", lambda w, after: w.c.users.directory("newest", limit=LIMIT, after=after), "newest"),
]

FOLLOWS = [
    Call("follows.follow", lambda w, other: w.c.follows.follow(w.follower, other), "new", before=_newcomer),
    Call("follows.follow", lambda w: w.c.follows.follow(w.author, w.talker), "whichever"),
    Call("follows.follow", lambda w, it: w.c.follows.follow(w.follower, it, notify=True), "told", before=_newcomer),
    Call("follows.follow", lambda w: w.c.follows.follow(w.follower, w.followed, notify=True), "again, not told"),
    Call("follows.unfollow", lambda w: w.c.follows.unfollow(w.follower, w.followed)),
    Call("follows.is_following", lambda w: w.c.follows.is_following(w.follower, w.followed)),
    *pages("follows.followers", lambda w, after: w.c.follows.followers(w.followed, limit=LIMIT, after=after)),
    *pages("follows.following", lambda w, after: w.c.follows.following(w.follower, limit=2, after=after)),
    Call("follows.counts", lambda w: w.c.follows.counts(w.followed), why="a key for each one counted"),
]

MEMBERSHIPS = [
    Call("memberships.ensure", lambda w: w.c.memberships.ensure(w.author), "there"),
    Call("memberships.ensure", lambda w, new: w.c.memberships.ensure(new), "new", before=_newcomer),
    Call("memberships.for_user", lambda w: w.c.memberships.for_user(w.author)),
    Call(
        "memberships.by_stripe_customer",
        lambda w, found: w.c.memberships.by_stripe_customer(found["stripeCustomerId"]),
        before=_customer,
    ),
    Call(
        "memberships.by_stripe_subscription",
        lambda w, found: w.c.memberships.by_stripe_subscription(found["stripeSubscriptionId"]),
        before=_customer,
    ),
    Call("memberships.apply_stripe_event", lambda w: _event(w, user_id=w.author), "of a user"),
    Call("memberships.apply_stripe_event", lambda w, new: _event(w, user_id=new), "first of a user", before=_newcomer),
    Call(
        "memberships.apply_stripe_event",
        lambda w, found: _event(w, customer_id=found["stripeCustomerId"]),
        "of a customer",
        before=_customer,
    ),
    Call(
        "memberships.apply_stripe_event",
        lambda w, found: _event(w, subscription_id=found["stripeSubscriptionId"]),
        "of a subscription",
        before=_customer,
    ),
    Call(
        "memberships.apply_stripe_event",
        lambda w, found: _event(w, customer_id=found["stripeCustomerId"]),
        "seen before",
        before=_applied,
    ),
    Call("memberships.has_access", lambda w: w.c.memberships.has_access(w.author, "pro")),
    Call("memberships.has_access", lambda w: w.c.memberships.has_access(w.author, None), "for everybody"),
]

NOTIFICATIONS = [
    Call("notifications.notify", lambda w: w.c.notifications.notify(w.author, "follow"), "no actor"),
    Call("notifications.notify", lambda w: w.c.notifications.notify(w.author, "follow", actor_id=w.talker), "actor"),
    Call("notifications.notify", lambda w: w.c.notifications.notify(w.author, "x", actor_id=w.author), "oneself"),
    Call("notifications.notify", lambda w: _liked(w, w.author, w.talker), "gathered, first"),
    Call("notifications.notify", lambda w, other: _liked(w, w.author, other), "gathered, next", before=_gathered),
    Call(
        "notifications.notify_many",
        lambda w, users: w.c.notifications.notify_many(users, "news"),
        "no actor",
        before=_others,
        **COUNTED,
    ),
    Call(
        "notifications.notify_many",
        lambda w, users: w.c.notifications.notify_many(users, "news", actor_id=w.author),
        "actor",
        before=_others,
        **COUNTED,
    ),
    Call(
        "notifications.notify_many",
        lambda w, users: w.c.notifications.notify_many(users, "news", once="fair"),
        "once, no actor",
        before=_others,
        **COUNTED,
    ),
    Call(
        "notifications.notify_many",
        lambda w, users: w.c.notifications.notify_many(users, "news", actor_id=w.author, once="fair"),
        "once, actor",
        before=_others_of_whom_some_know,
        **COUNTED,
    ),
    *pages("notifications.recent", lambda w, after: w.c.notifications.recent(w.informed, limit=LIMIT, after=after)),
    *pages("notifications.unread", lambda w, after: w.c.notifications.unread(w.informed, limit=LIMIT, after=after)),
    Call(
        "notifications.unread_count",
        lambda w: w.c.notifications.unread_count(w.informed),
        why="a key for each one counted",
    ),
    Call(
        "notifications.mark_read",
        lambda w, found: w.c.notifications.mark_read(found["userId"], found["_id"]),
        before=lambda w: w.one("notifications", read=False),
    ),
    Call("notifications.mark_all_read", lambda w: w.c.notifications.mark_all_read(w.informed)),
]

CONVERSATIONS = [
    Call("conversations.open", lambda w, pair: w.c.conversations.open(*pair), "there", before=_pair),
    Call("conversations.open", lambda w, pair: w.c.conversations.open(*pair), "new", before=_strangers),
    Call("conversations.between", lambda w, pair: w.c.conversations.between(*pair), before=_pair),
    *pages(
        "conversations.inbox",
        lambda w, after: w.c.conversations.inbox(w.talker, limit=2, after=after),
        why="a key for each unread message counted",
    ),
    Call(
        "conversations.unread_count",
        lambda w: w.c.conversations.unread_count(w.talker),
        why="a key for each conversation, and for each unread message counted",
    ),
    Call("conversations.delete", lambda w: w.c.conversations.delete(w.conversation)),
    Call("messages.send", lambda w, pair: w.c.messages.send(w.conversation, pair[0], "hello"), before=_pair),
    Call(
        "messages.send",
        lambda w, sender: w.c.messages.send(w.conversation, sender, "hello"),
        "in the same millisecond",
        before=_said_now,
    ),
    Call(
        "messages.send",
        lambda w, sender: w.c.messages.send(w.conversation, sender, "hello"),
        "in the same millisecond, with a smaller id",
        before=_at_this_moment,
    ),
    Call(
        "messages.send",
        lambda w, pair: w.c.messages.send(w.conversation, pair[0], "hello", notify=True),
        "told, first",
        before=_pair,
    ),
    Call(
        "messages.send",
        lambda w, sender: w.c.messages.send(w.conversation, sender, "hello", notify=True),
        "told, first of the sender, with a smaller id",
        before=_at_this_moment,
    ),
    Call(
        "messages.send",
        lambda w, sender: w.c.messages.send(w.conversation, sender, "hello", notify=True),
        "told, next",
        before=_told,
    ),
    *pages("messages.history", _history),
    Call(
        "messages.mark_read",
        lambda w, pair: w.c.messages.mark_read(w.conversation, pair[1]),
        before=_new_messages,
    ),
    Call("messages.delete", lambda w, it: w.c.messages.delete(it), before=_said),
    Call("messages.delete", lambda w, it: w.c.messages.delete(it), "the only one", before=_said_alone),
    Call("messages.restore", lambda w, it: w.c.messages.restore(it), before=_unsaid),
    Call("messages.restore", lambda w, it: w.c.messages.restore(it), "not deleted", before=_said),
]


CALLS = [*USERS, *FOLLOWS, *MEMBERSHIPS, *NOTIFICATIONS, *CONVERSATIONS]
