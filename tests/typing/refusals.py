"""What the type checkers refuse. This module is checked (`make check`), and never run.

Where a `type: ignore` stands, pyright and mypy refuse the line; both complain of one that they do not need.
"""

from bson import ObjectId

from datalayer import Community, Page, Stories, errors
from datalayer import documents as d
from datalayer import ids as i


async def ids(community: Community, user: i.UserId, post: i.PostId, comment: i.CommentId) -> None:
    """Also not where several are taken, nor in a collection, nor without their type."""
    await community.posts.by_author(post)  # type: ignore[arg-type]
    await community.follows.follow(user, post)  # type: ignore[arg-type]
    await community.likes.like(user, "post", user)  # type: ignore[arg-type]
    await community.comments.create(post, user, "Yes", parent_id=post)  # type: ignore[arg-type]
    await community.posts.get_many([comment])  # type: ignore[list-item]
    await community.posts.recent(space_ids={post})  # type: ignore[arg-type]
    await community.posts.get(ObjectId())  # type: ignore[arg-type]
    await community.posts.get(str(post))  # type: ignore[arg-type]
    await community.posts.get({"$gt": ""})  # type: ignore[arg-type]
    _ = (await community.posts.get_many([post]))[user]  # type: ignore[index]


async def literals(community: Community, user: i.UserId, post: i.PostId) -> None:
    await community.users.set_role(user, "owner")  # type: ignore[arg-type]
    await community.users.directory("oldest")  # type: ignore[arg-type]
    await community.likes.like(user, "user", post)  # type: ignore[arg-type]
    await community.points.leaderboard("year")  # type: ignore[arg-type]
    await community.reports.resolve("post", post, resolver_id=user, status="pending")  # type: ignore[arg-type]
    Community.connect(schema="drop")  # type: ignore[arg-type]


async def arguments(community: Community, user: i.UserId, space: i.SpaceId) -> None:
    """What is not a position has to be named, and what is left out is not `None`."""
    await community.posts.create(space, user, "Hello", "<p>Hello</p>")  # type: ignore[call-arg]
    await community.posts.create(space, user, content="Hello")  # type: ignore[call-arg]
    await community.posts.feed(space, 10)  # type: ignore[call-arg]
    await community.posts.feed(space, limit="10")  # type: ignore[arg-type]
    await community.spaces.update(space, name=None)  # type: ignore[arg-type]
    await community.spaces.update(space, title="Name")  # type: ignore[call-arg]
    await community.users.update_notification_prefs(user, email_everything=True)  # type: ignore[call-arg]
    await community.levels.replace([{"name": "Newcomer"}])  # type: ignore[list-item]


async def results(community: Community, user: i.UserId, page: Page[d.Post]) -> None:
    """What may be missing has to be looked at, and nothing of a page can be set."""
    _ = (await community.users.find(user)).points  # type: ignore[union-attr]
    await community.posts.recent(after=page)  # type: ignore[arg-type]
    page.next = None  # type: ignore[misc]
    _ = page.total  # type: ignore[attr-defined]
    _comments: list[d.Comment] = page.items  # type: ignore[assignment]
    _user: d.User = community.users.get(user)  # type: ignore[assignment]


async def databases(community: Community, stories: Stories) -> None:
    _ = stories.users  # type: ignore[attr-defined]
    _ = community.posts.save  # type: ignore[attr-defined]
    Community.connect(clock=lambda: "today")  # type: ignore[arg-type, return-value]
    Community.over(community)  # type: ignore[arg-type]
    await community.transaction(community.posts.get)  # type: ignore[arg-type]
    await community.transaction(lambda: 1)  # type: ignore[arg-type, return-value]


def problems(error: errors.DataLayerError, exists: errors.AlreadyExistsError) -> None:
    _ = error.index  # type: ignore[attr-defined]
    exists.index.upper()  # type: ignore[union-attr]
    errors.InvalidInputError()  # type: ignore[call-arg]


def fields(post: d.Post) -> None:
    _ = post.titel  # type: ignore[attr-defined]
    post.titel = "Hello"  # type: ignore[attr-defined]
    post.like_count = "one"  # type: ignore[assignment]
    post.title.upper()  # type: ignore[union-attr]
    d.Post(space_id=post.space_id)  # type: ignore[call-arg]
