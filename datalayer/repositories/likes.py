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
from datalayer.engine.fields import Json
from datalayer.engine.group_commit import GroupCommit
from datalayer.engine.pages import Page
from datalayer.engine.repository import ALIVE, AT_ONCE, Repository, lookup_alive, not_found
from datalayer.ids import CommentId, LikeId, NotificationId, PostId, UserId
from datalayer.repositories.shared.authors import Author
from datalayer.repositories.shared.awards import Cause
from datalayer.repositories.shared.consequences import NOTHING, Act, Wanted, bring_about
from datalayer.repositories.shared.telling import Actor, Notice, take_back_likes

TARGETS: Mapping[LikeTarget, type[Document]] = {"post": Post, "comment": Comment}

TargetId = TypeVar("TargetId", PostId, CommentId)
_Key: TypeAlias = tuple[LikeTarget, PostId | CommentId]


@dataclass(frozen=True, slots=True)
class _Request:
    """Who asks for what."""

    user_id: UserId
    wish: Literal["like", "unlike", "toggle"]
    wanted: Wanted = NOTHING


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
        """Make the user like the target; safe to repeat.

        A transaction of 4 round trips, by_userId_and_target, shared with concurrent calls for the target. It has
        8 round trips with `reward`, by_action, by_threshold and by_userId_and_action_and_reference. It has 6 or 7 round
        trips with `notify`, by_userId_and_type_and_gatherKey; 10 with both, 11 where the author reaches a level.

        Args:
            user_id: Who likes it.
            target_type: What it is.
            target_id: Which one.
            reward: Give the target's author the points of `like_received`, once for each target and user.
            notify: Tell the target's author, in a notification `like` that gathers the likes of the target.

        Raises:
            NotFoundError: There is no such user or target.
        """
        request = _Request(user_id, "like", Wanted(reward, notify))
        return await self._groups.submit((target_type, target_id), request)

    async def unlike(self, user_id: UserId, target_type: LikeTarget, target_id: PostId | CommentId) -> LikeResult:
        """Make the user not like the target; safe to repeat.

        An unread notification that counts the like no longer does; without likes it is removed. Points stay.

        A transaction of 4 round trips, by_userId_and_target, shared as `like`'s is. It has 6 round trips where an
        unread notification counts the like, 7 where that shows the user: then another one who likes the target is
        found by by_target.

        Raises:
            NotFoundError: There is no such user or target.
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
        """Like the target, or stop liking it; see `like` and `unlike`.

        A transaction of 4 to 11 round trips, as theirs: by_userId_and_target; by_action, by_threshold and
        by_userId_and_action_and_reference with `reward`; by_userId_and_type_and_gatherKey with `notify`; by_target.

        Args:
            user_id: Who likes it, or no longer does.
            target_type: What it is.
            target_id: Which one.
            reward: As for `like`.
            notify: As for `like`.

        Raises:
            NotFoundError: There is no such user or target.
        """
        request = _Request(user_id, "toggle", Wanted(reward, notify))
        return await self._groups.submit((target_type, target_id), request)

    async def delete(self, id: LikeId) -> None:
        """Remove the like; the target's counter follows, and an unread notification that counts the like.

        A transaction of 3 round trips; of up to 6 where there is such a notification, by_target.

        Raises:
            NotFoundError: There is none.
        """

        async def work() -> None:
            wire = await self._collection.find_one_and_delete({"_id": id})
            if wire is None:
                raise not_found(Like, id)
            target_type, target_id = wire["targetType"], wire["targetId"]
            # Also of a deleted target: its likes stay, and so its counter has to.
            await self._of(TARGETS[target_type]).update_one({"_id": target_id}, {"$inc": {"likeCount": -1}})
            if "notificationId" in wire:
                counted = {wire["userId"]: wire["notificationId"]}
                await take_back_likes(self._connection, target_type, target_id, counted)

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

    async def _apply(self, key: _Key, requests: Sequence[_Request]) -> Sequence[LikeResult | Exception]:
        """Do the requests one after the other, and write what comes out of it. In a transaction."""
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
            # Also the like of somebody who took it back and likes the target again: that is another like.
            gone = {id: like for id, user in users.items() for like in user["likes"] if id in new or not liked[id]}
            told = await self._bring_about(key, target["authorId"], users, made, new)
            await self._write(key, new={id: told.get(id) for id in new}, gone=gone)
        return answers

    async def _state(
        self, key: _Key, user_ids: set[UserId]
    ) -> tuple[dict[UserId, dict[str, Any]], dict[str, Any] | None]:
        """Those of the users who exist, each with the like of the target in a list; and the target, if it is there."""
        target_type, target_id = key
        # A lookup takes no hint. Only by_userId_and_target has the order asked for, although all of it is equal.
        on_target = {"targetType": target_type, "targetId": target_id}
        pipeline = [{"$match": on_target}, {"$sort": dict.fromkeys(on_target, 1)}, {"$project": {"notificationId": 1}}]
        like = {
            "from": "likes",
            "localField": "_id",
            "foreignField": "userId",
            "pipeline": pipeline,
            "as": "likes",
        }
        # It refers to nothing of the user, so the server runs it once.
        target = {
            "from": TARGETS[target_type].Settings.name,
            "pipeline": [{"$match": {"_id": target_id, **ALIVE}}, {"$project": {"likeCount": 1, "authorId": 1}}],
            "as": "target",
        }
        users = [{"$match": {"_id": {"$in": list(user_ids)}}}, {"$project": {"name": 1, "avatarStorageId": 1}}]
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
        """What follows from the likes that were made: points for each, and notifications that count those still there.

        Returns which notification counts whose like.
        """
        target_type, target_id = key
        target, data = f"{target_type}:{target_id}", _data(key)

        def act(request: _Request) -> Act:
            id = request.user_id
            cause = Cause(author_id, "like_received", "like", f"{target}:{id}")
            notice = Notice(author_id, "like", Actor(id, Author.of(users[id])), data, gather=target)
            return Act(request.wanted, [cause], [notice] if new.get(id) is request else [])

        # Nobody is rewarded for liking what they have written.
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
        """Write new likes, each with the notification that counts it, and remove others."""
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
            await self._collection.insert_many([like.to_wire() for like in likes])
        if len(new) != len(gone):
            more = len(new) - len(gone)
            await self._of(TARGETS[target_type]).update_one({"_id": target_id}, {"$inc": {"likeCount": more}})
        counted = {id: like["notificationId"] for id, like in gone.items() if "notificationId" in like}
        await take_back_likes(self._connection, target_type, target_id, counted)


def _data(key: _Key) -> Json:
    """What a notification says of the target."""
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
