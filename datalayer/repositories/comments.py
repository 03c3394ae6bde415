"""Comments on posts, and replies to comments."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from operator import itemgetter
from typing import Any

from datalayer.documents.comments import Comment
from datalayer.documents.posts import Post
from datalayer.documents.users import User
from datalayer.engine.boundary import Cursor, Limit
from datalayer.engine.fields import Saying
from datalayer.engine.pages import Page
from datalayer.engine.repository import ALIVE, SoftDeletingRepository, lookup_alive, not_found
from datalayer.errors import InvalidInputError
from datalayer.ids import CommentId, PostId, UserId
from datalayer.repositories.shared.authors import lock_author


@dataclass(frozen=True, slots=True)
class CommentThread:
    """A top-level comment with its replies, oldest first. One that is deleted has replies, and empty content."""

    comment: Comment
    replies: list[Comment]


class Comments(SoftDeletingRepository[Comment, CommentId]):
    """The comments, two levels deep. The post's `commentCount` follows in the same transaction."""

    document = Comment

    async def create(
        self, post_id: PostId, author_id: UserId, content: Saying, *, parent_id: CommentId | None = None
    ) -> Comment:
        """Write a comment, or a reply. A reply to a reply goes to its top-level comment.

        A transaction of 4 round trips, 5 for a reply, 6 for a reply to a reply.

        Raises:
            NotFoundError: There is no such post, author or parent; or the parent is a reply to a deleted comment.
            InvalidInputError: The parent belongs to another post.
        """

        async def work() -> Comment:
            top = None if parent_id is None else await self._top_level(post_id, parent_id)
            author = await lock_author(self._of(User), author_id)
            await self._count(post_id, 1, only_alive=True)
            return await self._insert(
                Comment(
                    post_id=post_id,
                    author_id=author_id,
                    author_name=author.name,
                    author_avatar=author.avatar,
                    parent_id=top,
                    content=content,
                    like_count=0,
                    created_at=self._now(),
                )
            )

        return await self._connection.transaction(work)

    async def edit(self, id: CommentId, content: Saying) -> Comment:
        """Change what the comment says; sets `editedAt`. One round trip.

        Raises:
            NotFoundError: There is none.
        """
        return await self._update({"_id": id, **ALIVE}, self._changes(content=content, edited_at=self._now()))

    async def delete(self, id: CommentId) -> None:
        """Mark the comment as deleted; its replies and likes stay. A transaction of 3 round trips.

        Raises:
            NotFoundError: There is none, or it is deleted.
        """

        async def work() -> None:
            comment = await self._update({"_id": id, **ALIVE}, {"$set": {"deletedAt": self._now()}})
            await self._count(comment.post_id, -1)

        await self._connection.transaction(work)

    async def restore(self, id: CommentId) -> Comment:
        """Bring a deleted comment back. A transaction of 4 round trips.

        Raises:
            NotFoundError: There is none.
        """

        async def work() -> Comment:
            comment = self._found(await self._one({"_id": id}), id)
            if comment.deleted_at is None:
                return comment
            await self._count(comment.post_id, 1)
            return await self._update({"_id": id}, {"$unset": {"deletedAt": ""}})

        return await self._connection.transaction(work)

    async def thread(self, post_id: PostId, *, limit: Limit = 20, after: Cursor | None = None) -> Page[CommentThread]:
        """The post's comments, newest first, each with all of its replies; none while the post is deleted.

        3 round trips: the post, the page by by_postId_and_parentId, and its replies by by_parentId; more where the page
        lies among many that are deleted. A deleted comment stays as long as it has replies.
        """
        top_level, lookups = {"postId": post_id, "parentId": None}, [{"$lookup": _ANY_REPLY}]
        alive = partial(self._of(Post).find_one, {"_id": post_id, **ALIVE}, {"_id": 1})
        page = await self._filtered_page(
            top_level, "by_postId_and_parentId", lookups, _is_shown, limit=limit, after=after, only_if=alive
        )
        replies = await self._replies_of([comment.id for comment in page.items])
        return Page([CommentThread(_shown(item), replies[item.id]) for item in page.items], page.next)

    async def replies(self, parent_id: CommentId, *, limit: Limit = 20, after: Cursor | None = None) -> Page[Comment]:
        """The replies to a comment, oldest first; none while the post is deleted. 2 round trips, by_parentId."""

        async def is_seen() -> bool:
            parent: list[dict[str, Any]] = [{"$match": {"_id": parent_id}}, {"$lookup": _ALIVE_POST}]
            found = await (await self._collection.aggregate(parent)).to_list()
            return bool(found and found[0]["post"])

        to_parent = {"parentId": parent_id, **ALIVE}
        return await self._page(to_parent, "by_parentId", limit, after, newest_first=False, only_if=is_seen)

    async def by_author(self, author_id: UserId, *, limit: Limit = 20, after: Cursor | None = None) -> Page[Comment]:
        """The author's comments on posts that are not deleted, newest first.

        One round trip, by_authorId and the posts' `_id`; more where the page lies among many that are left out.
        """
        lookups = [{"$lookup": _ALIVE_POST}]
        filter = {"authorId": author_id, **ALIVE}
        return await self._filtered_page(filter, "by_authorId", lookups, itemgetter("post"), limit=limit, after=after)

    async def _top_level(self, post_id: PostId, parent_id: CommentId) -> CommentId:
        parent = self._found(await self._one({"_id": parent_id, **ALIVE}), parent_id)
        if parent.post_id != post_id:
            raise InvalidInputError("parent_id", "is a comment on another post")
        if parent.parent_id is None:
            return parent.id
        await self._require(Comment, parent.parent_id)
        return parent.parent_id

    async def _count(self, post_id: PostId, change: int, *, only_alive: bool = False) -> None:
        filter = {"_id": post_id, **(ALIVE if only_alive else {})}
        changed = await self._of(Post).update_one(filter, {"$inc": {"commentCount": change}})
        if only_alive and changed.matched_count == 0:
            raise not_found(Post, post_id)

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


def _is_shown(wire: Mapping[str, Any]) -> bool:
    return "deletedAt" not in wire or bool(wire["replies"])


def _shown(comment: Comment) -> Comment:
    return comment if comment.deleted_at is None else comment.model_copy(update={"content": ""})
