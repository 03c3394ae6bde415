"""Example calls: the spaces, and what people write in them."""

from typing import Any

from bson import ObjectId

from datalayer.errors import AlreadyExistsError
from tests.plans.calls import ALL_LEVELS, BOTH, Call, Cost, pages, promising
from tests.plans.world import World

LIMIT = 5
TEXT: Any = {"content": "x", "content_html": "x"}

UNREAD: Cost = {"factor": 102, "why": "of each space up to 100 posts are counted"}
MERGED: Cost = {"seeks": 60, "why": "two keys to seek each owner"}
LOOKED_UP: Cost = {"factor": 2, "why": "a seek in another table for each one"}


async def _spaces(w: World) -> list[Any]:
    return [space.id for space in await w.c.spaces.list()]


async def _removed_space(w: World) -> Any:
    (_, second, *_) = await _spaces(w)
    await w.c.spaces.delete(second)
    return second


async def _newcomer(w: World) -> Any:
    return (await w.c.users.create(name="New")).id


async def _unpinned(w: World) -> Any:
    space = await w.c.spaces.create(name="New")
    first = None
    for number in range(3):
        post = await w.c.posts.create(space.id, w.author, content="x", content_html="x")
        if number:
            await w.c.posts.pin(post.id)
        else:
            first = post.id
    return first


async def _pinned(w: World) -> Any:
    return (await w.c.posts.pin(await _unpinned(w))).id


async def _reply(w: World) -> Any:
    parent = await w.one("comments", _id=w.parent)
    return parent["postId"], w.parent


async def _reply_to_a_reply(w: World) -> Any:
    reply = await w.one("comments", parentId=w.parent)
    return reply["postId"], reply["_id"]


async def _promising_reply(w: World) -> Any:
    return *(await _reply_to_a_reply(w)), await promising(w)


async def _liked_with_both(w: World) -> Any:
    """A like that an unread notification counts, with others of before and after."""
    users = [await _newcomer(w) for _ in range(3)]
    for user in users:
        await w.c.likes.like(user, "post", w.liked, **BOTH)
    return users


async def _newcomer_after_others(w: World) -> Any:
    await _liked_with_both(w)
    return await _newcomer(w)


async def _liked_alone(w: World) -> Any:
    """The only like that an unread notification counts."""
    user = await _newcomer(w)
    await w.c.likes.like(user, "post", w.liked, **BOTH)
    return [user]


async def _counted(w: World) -> Any:
    """The newest like that an unread notification counts."""
    users = await _liked_with_both(w)
    return await w.one("likes", userId=users[-1])


async def _almost_promoted(w: World) -> Any:
    """Somebody who likes a post whose author is about to reach a level, and has been told of another like."""
    post = await w.c.posts.create(w.space, await promising(w), content="x", content_html="x")
    await w.c.likes.like(await _newcomer(w), "post", post.id, notify=True)
    return await _newcomer(w), post.id


async def _reported_before(w: World) -> Any:
    await w.c.reports.file(await _newcomer(w), "post", w.post, "spam", notify=True)
    return await _newcomer(w)


async def _reported_and_read_by_one(w: World) -> Any:
    reporter = await _reported_before(w)
    await w.c.notifications.mark_all_read((await w.one("users", role="moderator"))["_id"])
    return reporter


async def _removed_comment(w: World) -> Any:
    await w.c.comments.delete(w.parent)
    return w.parent


async def _follower_of_many(w: World) -> Any:
    """More than the server merges in one sort."""
    me = await _newcomer(w)
    # Half of the real ones are among the first 200 ids, half are behind.
    strangers = [ObjectId(number.to_bytes(12)) for number in range(175)]
    people = [*strangers, *await w.ids("users", _id={"$ne": me})]
    follows = [{"followerId": me, "followingId": id, "createdAt": 1} for id in people]
    await w.c.database.follows.insert_many(follows)
    return me


async def _behind_first_of_many(w: World) -> Any:
    me = await _follower_of_many(w)
    return me, (await w.c.posts.following(me, limit=LIMIT)).next


async def _posts(w: World) -> list[Any]:
    return (await w.ids("posts"))[:50]


SPACES = [
    Call("spaces.create", lambda w: w.c.spaces.create(name="New")),
    Call("spaces.update", lambda w: w.c.spaces.update(w.space, name="New")),
    Call("spaces.delete", lambda w, ids: w.c.spaces.delete(ids[1]), "others behind it", before=_spaces),
    Call("spaces.delete", lambda w, ids: w.c.spaces.delete(ids[-1]), "the last", before=_spaces),
    Call("spaces.restore", lambda w, it: w.c.spaces.restore(it), before=_removed_space),
    Call("spaces.restore", lambda w: w.c.spaces.restore(w.space), "not deleted"),
    Call("spaces.by_visibility", lambda w: w.c.spaces.by_visibility("public")),
    Call("spaces.reorder", lambda w, ids: w.c.spaces.reorder(ids[::-1]), before=_spaces),
    Call("spaces.reorder", lambda w, ids: w.c.spaces.reorder(ids), "no change", before=_spaces),
    Call("spaces.list", lambda w: w.c.spaces.list()),
    Call("spaces.list", lambda w: w.c.spaces.list(include_deleted=True), "with deleted ones"),
    Call(
        "space_visits.record",
        lambda w, visit: w.c.space_visits.record(visit["userId"], visit["spaceId"]),
        "again",
        before=lambda w: w.one("spaceVisits"),
    ),
    Call("space_visits.record", lambda w, user: w.c.space_visits.record(user, w.space), "first", before=_newcomer),
    Call("space_visits.unread", lambda w: w.c.space_visits.unread(w.author), "visited", **UNREAD),
    Call(
        "space_visits.unread",
        lambda w, user: w.c.space_visits.unread(user),
        "never visited",
        before=_newcomer,
        **UNREAD,
    ),
]

POSTS = [
    Call("posts.create", lambda w: w.c.posts.create(w.space, w.author, **TEXT)),
    Call("posts.create", lambda w: w.c.posts.create(w.space, w.author, **TEXT, reward=True), "rewarded", **ALL_LEVELS),
    Call(
        "posts.create",
        lambda w: w.c.posts.create(w.space, w.author, **TEXT, mention_ids=[w.talker, w.liker], notify=True),
        "told",
    ),
    Call(
        "posts.create",
        lambda w, user: w.c.posts.create(w.space, user, **TEXT, mention_ids=[w.talker, w.liker], **BOTH),
        "with everything",
        before=promising,
        **ALL_LEVELS,
    ),
    Call("posts.edit", lambda w: w.c.posts.edit(w.post, content="y")),
    Call("posts.pin", lambda w, it: w.c.posts.pin(it), before=_unpinned, why="counts up to 3 pinned posts"),
    Call("posts.pin", lambda w, it: w.c.posts.pin(it), "again", before=_pinned),
    Call("posts.unpin", lambda w, it: w.c.posts.unpin(it), before=_pinned),
    Call("posts.delete", lambda w: w.c.posts.delete(w.post)),
    *pages("posts.feed", lambda w, after: w.c.posts.feed(w.space, limit=LIMIT, after=after)),
    *pages("posts.in_space", lambda w, after: w.c.posts.in_space(w.space, limit=LIMIT, after=after), "newest"),
    *pages(
        "posts.in_space",
        lambda w, after: w.c.posts.in_space(w.space, order="oldest", limit=LIMIT, after=after),
        "oldest",
    ),
    *pages("posts.by_author", lambda w, after: w.c.posts.by_author(w.author, limit=LIMIT, after=after)),
    *pages("posts.recent", lambda w, after: w.c.posts.recent(limit=LIMIT, after=after), "all spaces", **MERGED),
    *pages(
        "posts.recent",
        lambda w, after: w.c.posts.recent(space_ids=[w.space], limit=LIMIT, after=after),
        "one space",
    ),
    *pages("posts.following", lambda w, after: w.c.posts.following(w.follower, limit=LIMIT, after=after), **MERGED),
    Call(
        "posts.following",
        lambda w, me: w.c.posts.following(me, limit=LIMIT),
        "more than 200, first page",
        before=_follower_of_many,
        **MERGED,
    ),
    Call(
        "posts.following",
        lambda w, found: w.c.posts.following(found[0], limit=LIMIT, after=found[1]),
        "more than 200, later page",
        before=_behind_first_of_many,
        **MERGED,
    ),
    Call("posts.count_since", lambda w: w.c.posts.count_since(w.space, 0), why="a key for each one counted"),
]

COMMENTS = [
    Call("comments.create", lambda w: w.c.comments.create(w.post, w.author, "x"), "top level"),
    Call(
        "comments.create",
        lambda w, where: w.c.comments.create(where[0], w.author, "x", parent_id=where[1]),
        "reply",
        before=_reply,
    ),
    Call(
        "comments.create",
        lambda w, where: w.c.comments.create(where[0], w.author, "x", parent_id=where[1]),
        "reply to a reply",
        before=_reply_to_a_reply,
    ),
    Call(
        "comments.create", lambda w: w.c.comments.create(w.post, w.talker, "x", reward=True), "rewarded", **ALL_LEVELS
    ),
    Call("comments.create", lambda w: w.c.comments.create(w.post, w.talker, "x", notify=True), "told"),
    Call(
        "comments.create",
        lambda w, where: w.c.comments.create(
            where[0], where[2], "x", parent_id=where[1], mention_ids=[w.talker, w.liker], **BOTH
        ),
        "reply to a reply, with everything",
        before=_promising_reply,
        **ALL_LEVELS,
    ),
    Call(
        "comments.create",
        lambda w, user: w.c.comments.create(w.post, user, "x", mention_ids=[w.talker, w.liker], **BOTH),
        "top level, with everything",
        before=promising,
        **ALL_LEVELS,
    ),
    Call("comments.edit", lambda w: w.c.comments.edit(w.parent, "y")),
    Call("comments.delete", lambda w: w.c.comments.delete(w.parent)),
    Call("comments.restore", lambda w, it: w.c.comments.restore(it), before=_removed_comment),
    Call("comments.restore", lambda w: w.c.comments.restore(w.parent), "not deleted"),
    *pages("comments.thread", lambda w, after: w.c.comments.thread(w.post, limit=2, after=after), **LOOKED_UP),
    *pages("comments.replies", lambda w, after: w.c.comments.replies(w.parent, limit=1, after=after)),
    *pages(
        "comments.by_author",
        lambda w, after: w.c.comments.by_author(w.commenter, limit=LIMIT, after=after),
        **LOOKED_UP,
    ),
]

LIKES = [
    Call("likes.like", lambda w, user: w.c.likes.like(user, "post", w.liked), "new", before=_newcomer),
    Call("likes.like", lambda w, user: w.c.likes.like(user, "comment", w.parent), "a comment", before=_newcomer),
    Call(
        "likes.like",
        lambda w, like: w.c.likes.like(like["userId"], "post", w.liked),
        "again",
        before=lambda w: w.one("likes", targetId=w.liked),
    ),
    Call(
        "likes.unlike",
        lambda w, like: w.c.likes.unlike(like["userId"], "post", w.liked),
        before=lambda w: w.one("likes", targetId=w.liked),
    ),
    Call(
        "likes.like",
        lambda w, user: w.c.likes.like(user, "post", w.liked, reward=True),
        "rewarded",
        before=_newcomer,
        **ALL_LEVELS,
    ),
    Call("likes.like", lambda w, it: w.c.likes.like(it, "post", w.liked, notify=True), "told", before=_newcomer),
    Call(
        "likes.like",
        lambda w, user: w.c.likes.like(user, "post", w.liked, notify=True),
        "told, next",
        before=_newcomer_after_others,
    ),
    Call(
        "likes.like",
        lambda w, users: w.c.likes.like(users[0], "comment", w.parent, **BOTH),
        "rewarded and told",
        before=_liked_with_both,
        **ALL_LEVELS,
    ),
    Call(
        "likes.like",
        lambda w, found: w.c.likes.like(found[0], "post", found[1], **BOTH),
        "told, next, and leads to a level",
        before=_almost_promoted,
        **ALL_LEVELS,
    ),
    Call(
        "likes.toggle",
        lambda w, user: w.c.likes.toggle(user, "post", w.liked, reward=True),
        "rewarded",
        before=_newcomer,
        **ALL_LEVELS,
    ),
    Call("likes.toggle", lambda w, it: w.c.likes.toggle(it, "post", w.liked, notify=True), "told", before=_newcomer),
    Call(
        "likes.toggle",
        lambda w, users: w.c.likes.toggle(users[0], "comment", w.parent, **BOTH),
        "rewarded and told",
        before=_liked_with_both,
        **ALL_LEVELS,
    ),
    Call(
        "likes.toggle",
        lambda w, found: w.c.likes.toggle(found[0], "post", found[1], **BOTH),
        "told, next, and leads to a level",
        before=_almost_promoted,
        **ALL_LEVELS,
    ),
    Call(
        "likes.unlike",
        lambda w, users: w.c.likes.unlike(users[0], "post", w.liked),
        "the only one that was told",
        before=_liked_alone,
    ),
    Call(
        "likes.unlike",
        lambda w, users: w.c.likes.unlike(users[-1], "post", w.liked),
        "the newest that was told",
        before=_liked_with_both,
    ),
    Call(
        "likes.toggle",
        lambda w, users: w.c.likes.toggle(users[0], "post", w.liked),
        "the only one that was told",
        before=_liked_alone,
    ),
    Call(
        "likes.toggle",
        lambda w, users: w.c.likes.toggle(users[-1], "post", w.liked),
        "the newest that was told",
        before=_liked_with_both,
    ),
    Call("likes.unlike", lambda w, user: w.c.likes.unlike(user, "post", w.liked), "none", before=_newcomer),
    Call("likes.toggle", lambda w, user: w.c.likes.toggle(user, "post", w.liked), "on", before=_newcomer),
    Call(
        "likes.toggle",
        lambda w, like: w.c.likes.toggle(like["userId"], "post", w.liked),
        "off",
        before=lambda w: w.one("likes", targetId=w.liked),
    ),
    Call("likes.delete", lambda w, like: w.c.likes.delete(like["_id"]), before=lambda w: w.one("likes")),
    Call("likes.delete", lambda w, like: w.c.likes.delete(like["_id"]), "the newest that was told", before=_counted),
    Call("likes.is_liked", lambda w: w.c.likes.is_liked(w.liker, "post", w.liked)),
    Call("likes.liked_among", lambda w, ids: w.c.likes.liked_among(w.liker, "post", ids), before=_posts),
    *pages("likes.of_target", lambda w, after: w.c.likes.of_target("post", w.liked, limit=LIMIT, after=after)),
    *pages(
        "likes.by_user",
        lambda w, after: w.c.likes.by_user(w.liker, limit=LIMIT, after=after),
        factor=3,
        why="a seek in two other tables for each one",
    ),
]


async def _refiled(w: World) -> Any:
    report = await w.one("reports", status="pending")
    return report["reporterId"], report["targetType"], report["targetId"]


async def _reported_again(w: World) -> Any:
    await w.c.reports.file(await _newcomer(w), "post", w.reported, "spam")
    return (await w.c.reports.for_target("post", w.reported, limit=1)).next


REPORTS = [
    Call("reports.file", lambda w, user: w.c.reports.file(user, "post", w.post, "spam"), before=_newcomer),
    Call(
        "reports.file", lambda w, it: w.c.reports.file(it, "post", w.post, "x", notify=True), "told", before=_newcomer
    ),
    Call(
        "reports.file",
        lambda w, user: w.c.reports.file(user, "post", w.post, "x", notify=True),
        "told, next",
        before=_reported_before,
    ),
    Call(
        "reports.file",
        lambda w, user: w.c.reports.file(user, "post", w.post, "x", notify=True),
        "told, some of them next",
        before=_reported_and_read_by_one,
    ),
    Call(
        "reports.file",
        lambda w, found: w.c.reports.file(*found, "spam"),
        "again",
        before=_refiled,
        raises=AlreadyExistsError,
    ),
    *pages(
        "reports.queue",
        lambda w, after: w.c.reports.queue(limit=2, after=after),
        why="a key for each pending report",
    ),
    Call("reports.for_target", lambda w: w.c.reports.for_target("post", w.reported), "first page"),
    Call(
        "reports.for_target",
        lambda w, after: w.c.reports.for_target("post", w.reported, limit=1, after=after),
        "later page",
        before=_reported_again,
    ),
    Call("reports.pending_count", lambda w: w.c.reports.pending_count(), why="a key for each one counted"),
    Call("reports.resolve", lambda w: w.c.reports.resolve("post", w.reported, resolver_id=w.author)),
]


CALLS = [*SPACES, *POSTS, *COMMENTS, *LIKES, *REPORTS]
