"""Likes of posts and comments."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Literal, TypeAlias, TypeVar

from datalayer.documents.comments import Comment
from datalayer.documents.likes import Like, LikeTarget
from datalayer.documents.posts import Post
from datalayer.documents.users import User
from datalayer.engine.boundary import AnyCollection, Cursor, Limit
from datalayer.engine.collection import insert_all
from datalayer.engine.connection import Connection
from datalayer.engine.document import Document
from datalayer.engine.fields import Json
from datalayer.engine.group_commit import GroupCommit
from datalayer.engine.pages import Page
from datalayer.engine.repository import ALIVE, AT_ONCE, Repository, lookup_alive, not_found
from datalayer.ids import CommentId, LikeId, NotificationId, PostId, UserId
from datalayer.repositories.shared.authors import COPIED, Author
from datalayer.repositories.shared.awards import Cause
from datalayer.repositories.shared.consequences import NOTHING, Act, Wanted, bring_about
from datalayer.repositories.shared.telling import Actor, Notice, take_back_likes

TARGETS: Mapping[LikeTarget, type[Document]] = {"post": Post, "comment": Comment}

TargetId = TypeVar("TargetId", PostId, CommentId)
_Key: TypeAlias = tuple[LikeTarget, PostId | CommentId]


@dataclass(frozen=True, slots=True)
class _Request:
    """One call of `like`, `unlike` or `toggle`."""

    user_id: UserId
    wish: Literal["like", "unlike", "toggle"]
    wanted: Wanted = NOTHING


@dataclass(frozen=True, slots=True)
class LikeResult:
    """The state after the call.

    Attributes:
        liked: `True` if the user likes the target.
        like_count: The target's number of likes.
        newly: `True` if this call added the like.
    """

    liked: bool
    like_count: int
    newly: bool


class Likes(Repository[Like, LikeId]):
    """Likes of posts and comments.

    The target's `likeCount` is updated in the same transaction. Concurrent changes of one target's likes in one process
    share transactions. Inside `transaction` they belong to the open transaction.
    """

    document = Like

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self._groups = GroupCommit[_Key, _Request, LikeResult](
            connection, self._apply, lambda key: [(TARGETS[key[0]].Settings.name, key[1])]
        )

    async def like(
        self,
        user_id: UserId,
        target_type: LikeTarget,
        target_id: PostId | CommentId,
        *,
        reward: bool = False,
        notify: bool = False,
    ) -> LikeResult:
        """Like a post or comment. Idempotent.

        Args:
            user_id: The user who likes it.
            target_type: `post` or `comment`.
            target_id: The post or comment.
            reward: Award the target's author the points for `like_received`, once per target and user.
            notify: Notify the target's author. One `like` notification gathers all likes of the target.

        Raises:
            NotFoundError: The user or target does not exist, or the target is deleted.

        Cost: one transaction, 4 round trips; index by_userId_and_target; concurrent calls for the target share it. It
        takes 8 round trips with `reward` (indexes by_action, by_threshold, by_userId_and_action_and_reference), 6 or 7
        with `notify` (index by_userId_and_type_and_gatherKey), 10 with both, 11 if the author reaches a level.
        """
        request = _Request(user_id, "like", Wanted(reward, notify))
        return await self._groups.submit((target_type, target_id), request)

    async def unlike(self, user_id: UserId, target_type: LikeTarget, target_id: PostId | CommentId) -> LikeResult:
        """Remove the user's like of a post or comment. Idempotent.

        An unread notification that counts the like counts one less, and is removed when it counts none. Points are not
        revoked.

        Raises:
            NotFoundError: The user or target does not exist, or the target is deleted.

        Cost: one transaction, 4 round trips; index by_userId_and_target; concurrent calls for the target share it. It
        takes 6 round trips if an unread notification counts the like, 7 if that notification shows the user: then index
        by_target finds another user to show.
        """
        return await self._groups.submit((target_type, target_id), _Request(user_id, "unlike"))

    async def toggle(
        self,
        user_id: UserId,
        target_type: LikeTarget,
        target_id: PostId | CommentId,
        *,
        reward: bool = False,
        notify: bool = False,
    ) -> LikeResult:
        """Like a post or comment, or remove the like if there is one. See `like` and `unlike`.

        Args:
            user_id: The user.
            target_type: `post` or `comment`.
            target_id: The post or comment.
            reward: See `like`.
            notify: See `like`.

        Raises:
            NotFoundError: The user or target does not exist, or the target is deleted.

        Cost: one transaction, 4 to 11 round trips, as for `like` and `unlike`; indexes by_userId_and_target; by_action,
        by_threshold and by_userId_and_action_and_reference with `reward`; by_userId_and_type_and_gatherKey with
        `notify`; by_target to remove a like.
        """
        request = _Request(user_id, "toggle", Wanted(reward, notify))
        return await self._groups.submit((target_type, target_id), request)

    async def delete(self, id: LikeId) -> None:
        """Delete the like. The target's counter, and an unread notification that counts the like, are updated.

        Raises:
            NotFoundError: The like does not exist.

        Cost: one transaction, 3 round trips, up to 6 if there is such a notification; index by_target.
        """

        async def work() -> None:
            wire = await self._collection.find_one_and_delete({"_id": id})
            if wire is None:
                raise not_found(Like, id)
            target_type, target_id = wire["targetType"], wire["targetId"]
            # Deleted targets too: they keep their likes, so their counter must stay correct.
            await self._of(TARGETS[target_type]).update_one({"_id": target_id}, {"$inc": {"likeCount": -1}})
            if "notificationId" in wire:
                counted = {wire["userId"]: wire["notificationId"]}
                await take_back_likes(self._connection, target_type, target_id, counted)

        await self._connection.transaction(work)

    async def is_liked(self, user_id: UserId, target_type: LikeTarget, target_id: PostId | CommentId) -> bool:
        """Return whether the user likes the post or comment.

        Cost: 1 round trip; covered by index by_userId_and_target.
        """
        return bool(await self._liked(user_id, target_type, [target_id]))

    async def liked_among(
        self, user_id: UserId, target_type: LikeTarget, target_ids: AnyCollection[TargetId]
    ) -> set[TargetId]:
        """Return those of the posts or comments that the user likes.

        Cost: 1 round trip; covered by index by_userId_and_target.
        """
        return await self._liked(user_id, target_type, target_ids)

    async def of_target(
        self,
        target_type: LikeTarget,
        target_id: PostId | CommentId,
        *,
        limit: Limit = 20,
        after: Cursor | None = None,
    ) -> Page[Like]:
        """Return a page of the likes of a post or comment, newest first.

        It is empty while the target or its post is deleted.

        Cost: 2 round trips; index by_target.
        """

        async def is_seen() -> bool:
            target = [{"$match": {"_id": target_id}}, *_SEEN[target_type]]
            return bool(await (await self._of(TARGETS[target_type]).aggregate(target)).to_list())

        on_target = {"targetType": target_type, "targetId": target_id}
        return await self._page(on_target, "by_target", limit, after, only_if=is_seen)

    async def by_user(self, user_id: UserId, *, limit: Limit = 20, after: Cursor | None = None) -> Page[Like]:
        """Return a page of the user's likes, newest first, without those of deleted posts and comments.

        Cost: 1 round trip, more if many targets around the page are deleted; indexes by_userId and, on the targets,
        `_id`.
        """
        seen = itemgetter("target")
        return await self._filtered_page({"userId": user_id}, "by_userId", _SEEN_TARGET, seen, limit=limit, after=after)

    async def _liked(self, user_id: UserId, target_type: LikeTarget, target_ids: Collection[Any]) -> set[Any]:
        filter = {"userId": user_id, "targetType": target_type, "targetId": {"$in": list(target_ids)}}
        cursor = self._collection.find(
            filter, {"_id": 0, "targetId": 1}, batch_size=AT_ONCE, hint="by_userId_and_target"
        )
        return {wire["targetId"] for wire in await cursor.to_list()}

    async def _apply(self, key: _Key, requests: Sequence[_Request]) -> Sequence[LikeResult | Exception]:
        """Apply the requests in order, and write the result. Runs in a transaction."""
        users, target = await self._state(key, {request.user_id for request in requests})
        liked = {id: bool(user["likes"]) for id, user in users.items()}
        count = 0 if target is None else int(target["likeCount"])
        answers: list[LikeResult | Exception] = []
        made: list[_Request] = []
        new: dict[UserId, _Request] = {}
        for request in requests:
            before = liked.get(request.user_id)
            if before is None:
                answers.append(not_found(User, request.user_id))
                continue
            if target is None:
                answers.append(not_found(TARGETS[key[0]], key[1]))
                continue
            after = not before if request.wish == "toggle" else request.wish == "like"
            count += after - before
            liked[request.user_id] = after
            if after and not before:
                made.append(request)
                new[request.user_id] = request
            elif before and not after:
                new.pop(request.user_id, None)
            answers.append(LikeResult(after, count, newly=after and not before))
        if target is not None:
            # Includes the old like of a user who removed it and likes the target again: that is a new like.
            gone = {id: like for id, user in users.items() for like in user["likes"] if id in new or not liked[id]}
            told = await self._bring_about(key, target["authorId"], users, made, new)
            await self._write(key, new={id: told.get(id) for id in new}, gone=gone)
        return answers

    async def _state(
        self, key: _Key, user_ids: set[UserId]
    ) -> tuple[dict[UserId, dict[str, Any]], dict[str, Any] | None]:
        """Return the existing users with their likes of the target, and the target, or `None` if it is missing."""
        target_type, target_id = key
        # A lookup takes no hint. The sort changes nothing, but makes the server choose by_userId_and_target.
        on_target = {"targetType": target_type, "targetId": target_id}
        pipeline = [{"$match": on_target}, {"$sort": dict.fromkeys(on_target, 1)}, {"$project": {"notificationId": 1}}]
        like = {
            "from": "likes",
            "localField": "_id",
            "foreignField": "userId",
            "pipeline": pipeline,
            "as": "likes",
        }
        # Uncorrelated: it uses nothing from the user, so the server runs it once.
        target = {
            "from": TARGETS[target_type].Settings.name,
            "pipeline": [{"$match": {"_id": target_id, **ALIVE}}, {"$project": {"likeCount": 1, "authorId": 1}}],
            "as": "target",
        }
        users = [{"$match": {"_id": {"$in": list(user_ids)}}}, {"$project": COPIED}]
        cursor = await self._of(User).aggregate([*users, {"$lookup": like}, {"$lookup": target}], batchSize=AT_ONCE)
        found = await cursor.to_list()
        return {user["_id"]: user for user in found}, next((wire for user in found for wire in user["target"]), None)

    async def _bring_about(
        self,
        key: _Key,
        author_id: UserId,
        users: Mapping[UserId, Mapping[str, Any]],
        made: Sequence[_Request],
        new: Mapping[UserId, _Request],
    ) -> dict[UserId, NotificationId]:
        """Award points for each new like, and notify about those that are still there.

        Returns the notification that counts each user's like.
        """
        target_type, target_id = key
        target, data = f"{target_type}:{target_id}", _data(key)

        def act(request: _Request) -> Act:
            id = request.user_id
            cause = Cause(author_id, "like_received", "like", f"{target}:{id}")
            notice = Notice(author_id, "like", Actor(id, Author.of(users[id])), data, gather=target)
            return Act(request.wanted, [cause], [notice] if new.get(id) is request else [])

        # Liking one's own post or comment gives no points.
        others = [request for request in made if request.user_id != author_id]
        results = await bring_about(self._connection, [act(request) for request in others])
        return {
            request.user_id: notification.id
            for request, notifications in zip(others, results, strict=True)
            for notification in notifications.values()
        }

    async def _write(
        self, key: _Key, *, new: Mapping[UserId, NotificationId | None], gone: Mapping[UserId, Mapping[str, Any]]
    ) -> None:
        """Insert new likes, each with the notification that counts it, and delete others."""
        target_type, target_id = key
        if gone:
            of_users = {"userId": {"$in": list(gone)}, "targetType": target_type, "targetId": target_id}
            await self._collection.delete_many(of_users, hint="by_userId_and_target")
        if new:
            now = self._now()
            likes = [
                self.document(
                    user_id=id, target_type=target_type, target_id=target_id, created_at=now, notification_id=counted
                )
                for id, counted in new.items()
            ]
            await insert_all(self._collection, [like.to_wire() for like in likes])
        if len(new) != len(gone):
            more = len(new) - len(gone)
            await self._of(TARGETS[target_type]).update_one({"_id": target_id}, {"$inc": {"likeCount": more}})
        counted = {id: like["notificationId"] for id, like in gone.items() if "notificationId" in like}
        await take_back_likes(self._connection, target_type, target_id, counted)


def _data(key: _Key) -> Json:
    """Return the `data` of a notification about the target."""
    return {"targetType": key[0], "targetId": key[1]}


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
"""Stages that pass only a visible target. A comment is visible only if its post is."""


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
"""Stages that leave `target` empty if the liked post or comment is not visible."""
