"""Posts, comments, likes and reports, and the spaces that come and go."""

from typing import Literal

from datalayer.errors import AlreadyExistsError, InvalidInputError, NotFoundError, PinLimitError
from tests.reliability.ledger import Change, flag, no_flag, to, version
from tests.reliability.worker import Operation, Thing, Worker


async def write_post(w: Worker) -> None:
    marker = w.marker()
    with w.ledger.changing({("posts", marker): to("0")}):
        where = w.pick(w.world.rooms), w.user()
        post = await w.community.posts.create(*where, content=f"{marker} 0", content_html="p")
    w.posts.append(Thing(marker, post.id))


async def edit_post(w: Worker) -> None:
    post, number = await _pick_post(w), w.number()
    with w.ledger.changing({("posts", post.marker): version(number)}):
        await w.community.posts.edit(post.id, content=f"{post.marker} {number}")


async def remove_post(w: Worker) -> None:
    post = await _pick_post(w)
    w.posts.remove(post)
    await w.remove_and_restore(w.community.posts, post)


async def pin(w: Worker) -> None:
    post = await _pick_post(w)
    with w.ledger.changing({("posts", post.marker): flag("pinned")}):
        await w.community.posts.pin(post.id)


async def unpin(w: Worker) -> None:
    post = await _pick_post(w)
    with w.ledger.changing({("posts", post.marker): no_flag("pinned")}):
        await w.community.posts.unpin(post.id)


async def write_comment(w: Worker) -> None:
    marker = w.marker()
    post = w.pick(w.world.posts) if w.random.random() < 0.5 else (await _pick_post(w)).id
    parents = [comment.id for comment, where in w.comments if where == post]
    parent = w.pick(parents) if parents else None
    with w.ledger.changing({("comments", marker): to("0")}):
        comment = await w.community.comments.create(post, w.user(), f"{marker} 0", parent_id=parent)
    # Nobody replies to a reply: that is refused where a fault has kept its top-level comment deleted.
    w.comments.append((Thing(marker, comment.id), post if parent is None else None))


async def edit_comment(w: Worker) -> None:
    if not w.comments:
        await write_comment(w)
    (comment, _), number = w.pick(w.comments), w.number()
    with w.ledger.changing({("comments", comment.marker): version(number)}):
        await w.community.comments.edit(comment.id, f"{comment.marker} {number}")


async def remove_comment(w: Worker) -> None:
    if not w.comments:
        await write_comment(w)
    comment, _ = w.comments.popleft()
    await w.remove_and_restore(w.community.comments, comment)


async def like(w: Worker) -> None:
    await _like(w, "like", to("there"))


async def unlike(w: Worker) -> None:
    await _like(w, "unlike", to(None))


async def toggle(w: Worker) -> None:
    await _like(w, "toggle", lambda value: None if value else "there")


async def _like(w: Worker, wish: Literal["like", "unlike", "toggle"], change: Change) -> None:
    me, post = w.user(), w.pick(w.world.posts)
    register = ("likes", str(me), str(post))
    wanted = {} if wish == "unlike" else {"reward": True, "notify": True}
    with w.ledger.changing({register: change}):
        result = await getattr(w.community.likes, wish)(me, "post", post, **wanted)
    w.ledger.found(register, "there" if result.liked else None)


async def report(w: Worker) -> None:
    marker = w.marker()
    with w.ledger.changing({("reports", marker): to("0")}):
        await w.community.reports.file(w.user(), "post", w.pick(w.world.posts), f"{marker} 0")


async def resolve(w: Worker) -> None:
    await w.community.reports.resolve("post", w.pick(w.world.posts), resolver_id=w.world.stars[0])


async def reorder_spaces(w: Worker) -> None:
    ids = [space.id for space in await w.community.spaces.list()]
    w.random.shuffle(ids)
    await w.community.spaces.reorder(ids)


async def remove_space(w: Worker) -> None:
    await w.community.spaces.delete(w.pick(w.world.spaces))


async def restore_space(w: Worker) -> None:
    await w.community.spaces.restore(w.pick(w.world.spaces))


async def feed(w: Worker) -> None:
    await w.community.posts.feed(w.pick(w.world.rooms))


async def thread(w: Worker) -> None:
    await w.community.comments.thread(w.pick(w.world.posts))


async def own_post(w: Worker) -> None:
    """What was acknowledged is read at once."""
    post = await _pick_post(w)
    found = await w.community.posts.get(post.id)
    value = " ".join([found.content.split()[1], *(["pinned"] if found.pinned_at else [])])
    assert value in w.ledger.possible(("posts", post.marker)), (post, value)


async def _pick_post(w: Worker) -> Thing:
    if not w.posts:
        await write_post(w)
    return w.pick(w.posts)


OPERATIONS = (
    Operation(write_post, 6),
    Operation(edit_post, 5),
    Operation(remove_post, 2),
    Operation(pin, 3, (PinLimitError,)),
    Operation(unpin, 2),
    Operation(write_comment, 6),
    Operation(edit_comment, 3),
    Operation(remove_comment, 2),
    Operation(like, 6),
    Operation(unlike, 4),
    Operation(toggle, 6),
    Operation(report, 3, (AlreadyExistsError,)),
    Operation(resolve, 1),
    Operation(reorder_spaces, 1, (InvalidInputError,)),
    Operation(remove_space, 1, (NotFoundError,)),
    Operation(restore_space, 1),
    Operation(feed, 4, writes=False),
    Operation(thread, 4, writes=False),
    Operation(own_post, 4, writes=False),
)
