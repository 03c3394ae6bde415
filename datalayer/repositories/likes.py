"""Likes of posts and comments."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Literal, TypeAlias, TypeVar

from datalayer.documents.comments import Comment
from datalayer.documents.likes import Like, LikeTarget
from datalayer.documents.posts import Post
from datalayer.documents.users import User
from datalayer.engine.boundary import Cursor, Limit, Many
from datalayer.engine.connection import Connection
from datalayer.engine.document import Document
from datalayer.engine.group_commit import GroupCommit
from datalayer.engine.pages import Page
from datalayer.engine.repository import ALIVE, AT_ONCE, Repository, lookup_alive, not_found
from datalayer.ids import CommentId, LikeId, PostId, UserId

TARGETS: Mapping[LikeTarget, type[Document]] = {"post": Post, "comment": Comment}

TargetId = TypeVar("TargetId", PostId, CommentId)
_Key: TypeAlias = tuple[LikeTarget, PostId | CommentId]
_Wish: TypeAlias = Literal["like", "unlike", "toggle"]


@dataclass(frozen=True, slots=True)
class LikeResult:
    """How it is now.

    Attributes:
        liked: Whether the user likes the target.
        like_count: How many do.
        newly: Whether the user did not like it before this call, and does now.
    """

    liked: bool
    like_count: int
    newly: bool


class Likes(Repository[Like, LikeId]):
    """Who likes what. The target's `likeCount` follows in the same transaction.

    Concurrent changes of one target's likes in one process share transactions; outside of `transaction`, that is: there
    they belong to the transaction that is open.
    """

    document = Like

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self._groups = GroupCommit[_Key, tuple[UserId, _Wish], LikeResult](
            connection, self._apply, lambda key: [(TARGETS[key[0]].Settings.name, key[1])]
        )

    async def like(self, user_id: UserId, target_type: LikeTarget, target_id: PostId | CommentId) -> LikeResult:
        """Make the user like the target; safe to repeat.

        A transaction of 4 round trips, by_userId_and_target, shared with who comes at once.

        Raises:
            NotFoundError: There is no such user or target.
        """
        return await self._groups.submit((target_type, target_id), (user_id, "like"))

    async def unlike(self, user_id: UserId, target_type: LikeTarget, target_id: PostId | CommentId) -> LikeResult:
        """Make the user not like the target; safe to repeat.

        A transaction of 4 round trips, by_userId_and_target, shared as `like`'s is.

        Raises:
            NotFoundError: There is no such user or target.
        """
        return await self._groups.submit((target_type, target_id), (user_id, "unlike"))

    async def toggle(self, user_id: UserId, target_type: LikeTarget, target_id: PostId | CommentId) -> LikeResult:
        """Like the target, or stop liking it.

        A transaction of 4 round trips, by_userId_and_target, shared as `like`'s is.

        Raises:
            NotFoundError: There is no such user or target.
        """
        return await self._groups.submit((target_type, target_id), (user_id, "toggle"))

    async def delete(self, id: LikeId) -> None:
        """Remove the like; the target's counter follows. A transaction of 3 round trips.

        Raises:
            NotFoundError: There is none.
        """

        async def work() -> None:
            wire = await self._collection.find_one_and_delete({"_id": id})
            if wire is None:
                raise not_found(Like, id)
            # Also of a deleted target: its likes stay, and so its counter has to.
            await self._of(TARGETS[wire["targetType"]]).update_one(
                {"_id": wire["targetId"]}, {"$inc": {"likeCount": -1}}
            )

        await self._connection.transaction(work)

    async def is_liked(self, user_id: UserId, target_type: LikeTarget, target_id: PostId | CommentId) -> bool:
        """Whether the user likes the target. One round trip, covered by by_userId_and_target."""
        return bool(await self._liked(user_id, target_type, [target_id]))

    async def liked_among(self, user_id: UserId, target_type: LikeTarget, target_ids: Many[TargetId]) -> set[TargetId]:
        """Those of the targets that the user likes. One round trip, covered by by_userId_and_target."""
        return await self._liked(user_id, target_type, target_ids)

    async def of_target(
        self,
        target_type: LikeTarget,
        target_id: PostId | CommentId,
        *,
        limit: Limit = 20,
        after: Cursor | None = None,
    ) -> Page[Like]:
        """The target's likes, newest first; none while it or its post is deleted. 2 round trips, by_target."""

        async def is_seen() -> bool:
            target = [{"$match": {"_id": target_id}}, *_SEEN[target_type]]
            return bool(await (await self._of(TARGETS[target_type]).aggregate(target)).to_list())

        on_target = {"targetType": target_type, "targetId": target_id}
        return await self._page(on_target, "by_target", limit, after, only_if=is_seen)

    async def by_user(self, user_id: UserId, *, limit: Limit = 20, after: Cursor | None = None) -> Page[Like]:
        """What the user likes and is not deleted, newest first.

        One round trip, by_userId and the targets' `_id`; more where the page lies among many that are deleted.
        """
        seen = itemgetter("target")
        return await self._filtered_page({"userId": user_id}, "by_userId", _SEEN_TARGET, seen, limit=limit, after=after)

    async def _liked(self, user_id: UserId, target_type: LikeTarget, target_ids: Collection[Any]) -> set[Any]:
        filter = {"userId": user_id, "targetType": target_type, "targetId": {"$in": list(target_ids)}}
        cursor = self._collection.find(
            filter, {"_id": 0, "targetId": 1}, batch_size=AT_ONCE, hint="by_userId_and_target"
        )
        return {wire["targetId"] for wire in await cursor.to_list()}

    async def _apply(self, key: _Key, requests: Sequence[tuple[UserId, _Wish]]) -> Sequence[LikeResult | Exception]:
        """Do the requests one after the other, and write what comes out of it. In a transaction."""
        users, count = await self._state(key, {user_id for user_id, _ in requests})
        liked = dict(users)
        answers: list[LikeResult | Exception] = []
        for user_id, wish in requests:
            if user_id not in liked:
                answers.append(not_found(User, user_id))
                continue
            if count is None:
                answers.append(not_found(TARGETS[key[0]], key[1]))
                continue
            before = liked[user_id]
            after = not before if wish == "toggle" else wish == "like"
            count += after - before
            liked[user_id] = after
            answers.append(LikeResult(after, count, newly=after and not before))
        await self._write(
            key,
            new=[user_id for user_id, now in liked.items() if now and not users[user_id]],
            gone=[user_id for user_id, now in liked.items() if users[user_id] and not now],
        )
        return answers

    async def _state(self, key: _Key, user_ids: set[UserId]) -> tuple[dict[UserId, bool], int | None]:
        """Which of the users exist, and whether they like the target; and its counter, if it is there."""
        target_type, target_id = key
        # A lookup takes no hint. Only by_userId_and_target has the order asked for, although all of it is equal.
        on_target = {"targetType": target_type, "targetId": target_id}
        like = {
            "from": "likes",
            "localField": "_id",
            "foreignField": "userId",
            "pipeline": [{"$match": on_target}, {"$sort": dict.fromkeys(on_target, 1)}, {"$project": {"_id": 1}}],
            "as": "likes",
        }
        # It refers to nothing of the user, so the server runs it once.
        target = {
            "from": TARGETS[target_type].Settings.name,
            "pipeline": [{"$match": {"_id": target_id, **ALIVE}}, {"$project": {"likeCount": 1}}],
            "as": "target",
        }
        users = [{"$match": {"_id": {"$in": list(user_ids)}}}, {"$project": {"_id": 1}}]
        cursor = await self._of(User).aggregate([*users, {"$lookup": like}, {"$lookup": target}], batchSize=AT_ONCE)
        found = await cursor.to_list()
        counts = [int(wire["likeCount"]) for user in found for wire in user["target"]]
        return {user["_id"]: bool(user["likes"]) for user in found}, counts[0] if counts else None

    async def _write(self, key: _Key, *, new: Sequence[UserId], gone: Sequence[UserId]) -> None:
        target_type, target_id = key
        if new:
            now = self._now()
            likes = [Like(user_id=id, target_type=target_type, target_id=target_id, created_at=now) for id in new]
            await self._collection.insert_many([like.to_wire() for like in likes])
        if gone:
            of_users = {"userId": {"$in": list(gone)}, "targetType": target_type, "targetId": target_id}
            await self._collection.delete_many(of_users, hint="by_userId_and_target")
        if len(new) != len(gone):
            more = len(new) - len(gone)
            await self._of(TARGETS[target_type]).update_one({"_id": target_id}, {"$inc": {"likeCount": more}})


_ALIVE_POST = lookup_alive(Post, "postId", "post")

_SEEN: dict[LikeTarget, list[dict[str, Any]]] = {
    "post": [{"$match": ALIVE}, {"$project": {"_id": 1}}],
    "comment": [
        {"$match": ALIVE},
        {"$lookup": _ALIVE_POST},
        {"$match": {"post": {"$ne": []}}},
        {"$project": {"_id": 1}},
    ],
}
"""The stages that let a target through if it is to be seen: a comment goes with its post."""


_POST_OF_TARGET = lookup_alive(Post, "targetId", "target")

_COMMENT: dict[str, Any] = {
    "from": "comments",
    "localField": "targetId",
    "foreignField": "_id",
    "pipeline": [{"$match": ALIVE}, {"$project": {"postId": 1}}],
    "as": "comment",
}

_POST_OF_COMMENT = lookup_alive(Post, "comment.postId", "post")

_SEEN_TARGET: list[dict[str, Any]] = [
    {"$lookup": _POST_OF_TARGET},
    {"$lookup": _COMMENT},
    {"$lookup": _POST_OF_COMMENT},
    {"$set": {"target": {"$cond": [{"$eq": ["$targetType", "post"]}, "$target", "$post"]}}},
    {"$unset": ["comment", "post"]},
]
"""Stages that make `target` empty where what is liked is not to be seen."""
