"""Follows between users."""

from dataclasses import dataclass

from pymongo import ReturnDocument

from datalayer.documents.follows import Follow
from datalayer.documents.users import User
from datalayer.engine.boundary import Cursor, Limit
from datalayer.engine.ids import new_object_id
from datalayer.engine.pages import Page
from datalayer.engine.repository import Repository
from datalayer.errors import SelfFollowError
from datalayer.ids import FollowId, UserId
from datalayer.repositories.shared.consequences import Act, Wanted, actor_of, bring_about
from datalayer.repositories.shared.telling import Notice

_PAIR_INDEX = "by_followerId_and_followingId"


@dataclass(frozen=True, slots=True)
class FollowCounts:
    """The number of a user's followers, and the number of users that the user follows."""

    followers: int
    following: int


@dataclass(frozen=True, slots=True)
class FollowResult:
    """The result of `follow`.

    Attributes:
        follow: The follow.
        newly: `True` if this call created it.
    """

    follow: Follow
    newly: bool


class Follows(Repository[Follow, FollowId]):
    """Follows between users."""

    document = Follow

    async def follow(self, follower_id: UserId, following_id: UserId, *, notify: bool = False) -> FollowResult:
        """Make one user follow another. Idempotent.

        Args:
            follower_id: The user who follows.
            following_id: The user who is followed.
            notify: Notify the followed user (`follow`).

        Raises:
            SelfFollowError: Both ids are the same.
            NotFoundError: One of the users does not exist.

        Cost: 3 round trips; index by_followerId_and_followingId. With `notify` one transaction of 6 round trips, 4 if
        the user was already following.
        """
        if follower_id == following_id:
            raise SelfFollowError

        async def work() -> FollowResult:
            result = await self._follow(follower_id, following_id)
            if result.newly:
                told = Notice(following_id, "follow", await actor_of(self._connection, follower_id))
                await bring_about(self._connection, [Act(Wanted(notify=True), notices=[told])], known={following_id})
            return result

        return await (self._connection.transaction(work) if notify else self._follow(follower_id, following_id))

    async def _follow(self, follower_id: UserId, following_id: UserId) -> FollowResult:
        await self._require(User, follower_id)
        await self._require(User, following_id)
        id = new_object_id()
        wire = await self._collection.find_one_and_update(
            {"followerId": follower_id, "followingId": following_id},
            {"$setOnInsert": {"_id": id, "createdAt": self._now()}},
            upsert=True,
            return_document=ReturnDocument.AFTER,
            hint=_PAIR_INDEX,
        )
        follow = self.document.from_wire(wire or {})
        return FollowResult(follow, newly=follow.id == id)

    async def unfollow(self, follower_id: UserId, following_id: UserId) -> bool:
        """Unfollow a user. Idempotent.

        Returns:
            `False` if the user was not following.

        Cost: 1 round trip; index by_followerId_and_followingId.
        """
        pair = {"followerId": follower_id, "followingId": following_id}
        gone = await self._collection.delete_one(pair, hint=_PAIR_INDEX)
        return gone.deleted_count == 1

    async def is_following(self, follower_id: UserId, following_id: UserId) -> bool:
        """Return whether one user follows the other.

        Cost: 1 round trip; index by_followerId_and_followingId.
        """
        return await self._one({"followerId": follower_id, "followingId": following_id}, hint=_PAIR_INDEX) is not None

    async def followers(self, user_id: UserId, *, limit: Limit = 20, after: Cursor | None = None) -> Page[Follow]:
        """Return a page of the user's followers, newest first.

        Cost: 1 round trip; index by_followingId.
        """
        return await self._page({"followingId": user_id}, "by_followingId", limit, after)

    async def following(self, user_id: UserId, *, limit: Limit = 20, after: Cursor | None = None) -> Page[Follow]:
        """Return a page of the users that the user follows, newest first.

        Cost: 1 round trip; index by_followerId.
        """
        return await self._page({"followerId": user_id}, "by_followerId", limit, after)

    async def counts(self, user_id: UserId) -> FollowCounts:
        """Count the user's followers and the users that the user follows.

        Cost: 2 round trips, which count the keys of the indexes by_followingId and by_followerId.
        """
        followers = await self._collection.count_documents({"followingId": user_id}, hint="by_followingId")
        following = await self._collection.count_documents({"followerId": user_id}, hint="by_followerId")
        return FollowCounts(followers, following)
