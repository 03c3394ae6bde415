"""Comments on posts, and replies to comments."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from operator import itemgetter
from typing import Annotated, Any

from pydantic import Field

from datalayer.documents.comments import Comment
from datalayer.documents.posts import Post
from datalayer.documents.users import User
from datalayer.engine.boundary import AnyCollection, Cursor, Limit
from datalayer.engine.collection import insert_all
from datalayer.engine.connection import Connection
from datalayer.engine.fields import Json, MessageText
from datalayer.engine.group_commit import GroupCommit
from datalayer.engine.pages import Page
from datalayer.engine.repository import ALIVE, AT_ONCE, SoftDeletingRepository, lookup_alive, not_found
from datalayer.errors import InvalidInputError
from datalayer.ids import CommentId, PostId, UserId
from datalayer.repositories.shared.authors import Author, lock_authors
from datalayer.repositories.shared.awards import Cause
from datalayer.repositories.shared.consequences import MAX_MENTIONS, Act, Wanted, bring_about
from datalayer.repositories.shared.telling import Actor, Notice


@dataclass(frozen=True, slots=True)
class CommentThread:
    """A top-level comment with its replies, oldest first.

    A deleted comment that still has replies is kept, with empty content.
    """

    comment: Comment
    replies: list[Comment]


@dataclass(frozen=True, slots=True)
class _Draft:
    """The arguments of one call of `create`."""

    author_id: UserId
    content: str
    parent_id: CommentId | None
    mentions: Sequence[UserId]
    wanted: Wanted


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a new comment goes.

    Attributes:
        top: The top-level comment that it replies to, if it is a reply.
        author: The name and avatar to copy.
        replied_to: The author of the parent comment, if it is a reply.
    """

    top: CommentId | None
    author: Author
    replied_to: UserId | None


class Comments(SoftDeletingRepository[Comment, CommentId]):
    """The comments, two levels deep.

    The post's `commentCount` is updated in the same transaction. Concurrent comments on one post in one process share
    transactions. Inside `transaction` they belong to the open transaction.
    """

    document = Comment

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self._groups = GroupCommit[PostId, _Draft, Comment](
            connection, self._apply, lambda post_id: [(Post.Settings.name, post_id)]
        )

    async def create(
        self,
        post_id: PostId,
        author_id: UserId,
        content: MessageText,
        *,
        parent_id: CommentId | None = None,
        mention_ids: Annotated[AnyCollection[UserId], Field(max_length=MAX_MENTIONS)] = (),
        reward: bool = False,
        notify: bool = False,
    ) -> Comment:
        """Comment on a post, or reply to a comment.

        A reply to a reply is attached to its top-level comment.

        Args:
            post_id: The post.
            author_id: The author of the comment.
            content: The text.
            parent_id: The comment to reply to.
            mention_ids: Up to 100 mentioned users. Pass only users who may see the post.
            reward: Award the author the points for `comment`.
            notify: Notify the parent's author (`reply`), or without a parent the post's author (`comment`), and the
                mentioned users (`mention`). Each user gets one notification at most; the author of the comment gets
                none.

        Raises:
            NotFoundError: The post, author or parent does not exist or is deleted, or the parent is a reply to a
                deleted comment.
            InvalidInputError: The parent is a comment on another post.

        Cost: one transaction, 4 round trips, 5 for a reply, 6 for a reply to a reply; concurrent comments on the post
        share it. It takes 8 round trips with `reward` (indexes by_action, by_threshold,
        by_userId_and_action_and_reference), 7 with `notify`, at most 12 with both.
        """
        draft = _Draft(author_id, content, parent_id, list(mention_ids), Wanted(reward, notify))
        return await self._groups.submit(post_id, draft)

    async def edit(self, id: CommentId, content: MessageText) -> Comment:
        """Change the comment's text and set `editedAt`.

        Raises:
            NotFoundError: The comment does not exist or is deleted.

        Cost: 1 round trip; index `_id`.
        """
        return await self._update({"_id": id, **ALIVE}, self._changes(content=content, edited_at=self._now()))

    async def delete(self, id: CommentId) -> None:
        """Soft-delete the comment. Its replies and likes are kept.

        Raises:
            NotFoundError: The comment does not exist or is already deleted.

        Cost: one transaction, 3 round trips; index `_id`.
        """

        async def work() -> None:
            comment = await self._update({"_id": id, **ALIVE}, {"$set": {"deletedAt": self._now()}})
            await self._count(comment.post_id, -1)

        await self._connection.transaction(work)

    async def restore(self, id: CommentId) -> Comment:
        """Restore a deleted comment. Idempotent.

        Raises:
            NotFoundError: The comment does not exist.

        Cost: one transaction, 4 round trips; index `_id`.
        """

        async def work() -> Comment:
            comment = self._found(await self._one({"_id": id}), id)
            if comment.deleted_at is None:
                return comment
            await self._count(comment.post_id, 1)
            return await self._update({"_id": id}, {"$unset": {"deletedAt": ""}})

        return await self._connection.transaction(work)

    async def thread(self, post_id: PostId, *, limit: Limit = 20, after: Cursor | None = None) -> Page[CommentThread]:
        """Return a page of the post's top-level comments, newest first, each with all its replies.

        A deleted comment is included while it has replies. The page is empty while the post is deleted.

        Cost: 3 round trips, more if many comments around the page are deleted; indexes by_postId_and_parentId for the
        page and by_parentId for its replies.
        """
        top_level, lookups = {"postId": post_id, "parentId": None}, [{"$lookup": _ANY_REPLY}]
        alive = partial(self._of(Post).find_one, {"_id": post_id, **ALIVE}, {"_id": 1})
        page = await self._filtered_page(
            top_level, "by_postId_and_parentId", lookups, _is_shown, limit=limit, after=after, only_if=alive
        )
        replies = await self._replies_of([comment.id for comment in page.items])
        return Page([CommentThread(_shown(item), replies[item.id]) for item in page.items], page.next)

    async def replies(self, parent_id: CommentId, *, limit: Limit = 20, after: Cursor | None = None) -> Page[Comment]:
        """Return a page of the replies to a comment, oldest first. It is empty while the post is deleted.

        Cost: 2 round trips; index by_parentId.
        """

        async def is_seen() -> bool:
            parent: list[dict[str, Any]] = [{"$match": {"_id": parent_id}}, {"$lookup": _ALIVE_POST}]
            found = await (await self._collection.aggregate(parent)).to_list()
            return bool(found and found[0]["post"])

        to_parent = {"parentId": parent_id, **ALIVE}
        return await self._page(to_parent, "by_parentId", limit, after, newest_first=False, only_if=is_seen)

    async def by_author(self, author_id: UserId, *, limit: Limit = 20, after: Cursor | None = None) -> Page[Comment]:
        """Return a page of the author's comments, newest first, without those on deleted posts.

        Cost: 1 round trip, more if many comments around the page are left out; indexes by_authorId and, on the posts,
        `_id`.
        """
        lookups = [{"$lookup": _ALIVE_POST}]
        filter = {"authorId": author_id, **ALIVE}
        return await self._filtered_page(filter, "by_authorId", lookups, itemgetter("post"), limit=limit, after=after)

    async def _apply(self, post_id: PostId, drafts: Sequence[_Draft]) -> Sequence[Comment | Exception]:
        """Write comments on one post, in order. Runs in a transaction."""
        # These transactions contend for the post, so a group adds its size to the counter first, and subtracts refused
        # comments later. A single comment may be refused inside a transaction that goes on, so it must not write
        # anything before it is accepted.
        counted = len(drafts) if len(drafts) > 1 else 0
        is_alive = counted == 0 or await self._count(post_id, counted, only_alive=True)
        places = await self._places(post_id, drafts)
        accepted = sum(isinstance(place, _Place) for place in places)
        if is_alive and accepted != counted:
            is_alive = await self._count(post_id, accepted - counted, only_alive=True)
        now = self._now()
        # Created while the post is locked, so that their ids are in the order of their transactions.
        answers = [
            place
            if isinstance(place, Exception)
            else _comment(self.document, post_id, draft, place, now)
            if is_alive
            else not_found(Post, post_id)
            for draft, place in zip(drafts, places, strict=True)
        ]
        if new := [comment.to_wire() for comment in answers if isinstance(comment, Comment)]:
            await insert_all(self._collection, new)
            await self._bring_about(post_id, drafts, places, answers)
        return answers

    async def _bring_about(
        self,
        post_id: PostId,
        drafts: Sequence[_Draft],
        places: Sequence[_Place | Exception],
        answers: Sequence[Comment | Exception],
    ) -> None:
        """Award the points and send the notifications for new comments."""
        post: Mapping[str, Any] = {}
        if any(draft.wanted.notify and draft.parent_id is None for draft in drafts):
            post = await self._of(Post).find_one({"_id": post_id}, {"authorId": 1}) or {}
        acts = [
            _act(draft, place, comment, post.get("authorId"))
            for draft, place, comment in zip(drafts, places, answers, strict=True)
            if isinstance(place, _Place) and isinstance(comment, Comment)
        ]
        await bring_about(self._connection, acts)

    async def _places(self, post_id: PostId, drafts: Sequence[_Draft]) -> Sequence[_Place | Exception]:
        """Return where each comment goes, or why it is refused. Locks the authors, writes nothing else."""
        parents = await self._alive({draft.parent_id for draft in drafts if draft.parent_id is not None})
        above = await self._alive({parent["parentId"] for parent in parents.values() if "parentId" in parent})
        tops = [_top_level(post_id, draft.parent_id, {**parents, **above}) for draft in drafts]
        asking = {draft.author_id for draft, top in zip(drafts, tops, strict=True) if not isinstance(top, Exception)}
        authors = await lock_authors(self._of(User), asking) if asking else {}
        places: list[_Place | Exception] = []
        for draft, top in zip(drafts, tops, strict=True):
            if isinstance(top, Exception):
                places.append(top)
            elif (author := authors.get(draft.author_id)) is None:
                places.append(not_found(User, draft.author_id))
            else:
                replied_to = None if draft.parent_id is None else parents[draft.parent_id]["authorId"]
                places.append(_Place(top, author, replied_to))
        return places

    async def _alive(self, ids: Iterable[CommentId]) -> dict[CommentId, Mapping[str, Any]]:
        """Return the places of those comments that are not deleted. 1 round trip, none without ids."""
        if not (wanted := list(ids)):
            return {}
        place = {"postId": 1, "parentId": 1, "authorId": 1}
        found = self._collection.find({"_id": {"$in": wanted}, **ALIVE}, place, batch_size=AT_ONCE, hint="_id_")
        return {comment["_id"]: comment for comment in await found.to_list()}

    async def _count(self, post_id: PostId, change: int, *, only_alive: bool = False) -> bool:
        """Change the post's counter. Returns `False` if there is no such post."""
        filter = {"_id": post_id, **(ALIVE if only_alive else {})}
        return (await self._of(Post).update_one(filter, {"$inc": {"commentCount": change}})).matched_count == 1

    async def _replies_of(self, ids: list[CommentId]) -> dict[CommentId | None, list[Comment]]:
        replies: dict[CommentId | None, list[Comment]] = defaultdict(list)
        found = (
            await self._all({"parentId": {"$in": ids}, **ALIVE}, sort={"parentId": 1, "_id": 1}, hint="by_parentId")
            if ids
            else []
        )
        for reply in found:
            replies[reply.parent_id].append(reply)
        return replies


_ANY_REPLY: dict[str, Any] = {
    "from": "comments",
    "localField": "_id",
    "foreignField": "parentId",
    "pipeline": [{"$match": ALIVE}, {"$limit": 1}, {"$project": {"_id": 1}}],
    "as": "replies",
}

_ALIVE_POST = lookup_alive(Post, "postId", "post")


def _comment(document: type[Comment], post_id: PostId, draft: _Draft, place: _Place, now: int) -> Comment:
    return document(
        post_id=post_id,
        author_id=draft.author_id,
        author_name=place.author.name,
        author_avatar=place.author.avatar,
        parent_id=place.top,
        content=draft.content,
        like_count=0,
        created_at=now,
    )


def _act(draft: _Draft, place: _Place, comment: Comment, post_author_id: UserId | None) -> Act:
    actor = Actor(draft.author_id, place.author)
    data: Json = {"postId": comment.post_id, "commentId": comment.id}
    answered = ("comment", post_author_id) if place.replied_to is None else ("reply", place.replied_to)
    told = [answered, *(("mention", id) for id in draft.mentions)]
    cause = Cause(draft.author_id, "comment", "comment", str(comment.id))
    return Act(draft.wanted, [cause], [Notice(id, type, actor, data) for type, id in told if id is not None])


def _top_level(
    post_id: PostId, parent_id: CommentId | None, alive: Mapping[CommentId, Mapping[str, Any]]
) -> CommentId | Exception | None:
    """Return the top-level comment that a reply to this parent belongs to, or the error if there can be none."""
    if parent_id is None:
        return None
    if parent_id not in alive:
        return not_found(Comment, parent_id)
    parent = alive[parent_id]
    if parent["postId"] != post_id:
        return InvalidInputError("parent_id", "belongs to another post")
    top: CommentId = parent.get("parentId", parent_id)
    return top if top in alive else not_found(Comment, top)


def _is_shown(wire: Mapping[str, Any]) -> bool:
    return "deletedAt" not in wire or bool(wire["replies"])


def _shown(comment: Comment) -> Comment:
    return comment if comment.deleted_at is None else comment.model_copy(update={"content": ""})
