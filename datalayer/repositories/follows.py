"""Who follows whom."""

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
    """How many follow a user, and how many the user follows."""

    followers: int
    following: int


@dataclass(frozen=True, slots=True)
class FollowResult:
    """What `follow` returns.

    Attributes:
        follow: That one user follows the other.
        newly: Whether it was made by this call.
    """

    follow: Follow
    newly: bool


class Follows(Repository[Follow, FollowId]):
    """Who follows whom."""

    document = Follow

    async def follow(self, follower_id: UserId, following_id: UserId, *, notify: bool = False) -> FollowResult:
        """Make one user follow another; safe to repeat.

        3 round trips, by_followerId_and_followingId. With `notify` a transaction of 6 round trips, of 4 where it was so
        before.

        Args:
            follower_id: Who follows.
            following_id: Whom.
            notify: Tell the other one (`follow`).

        Raises:
            SelfFollowError: It is the same user.
            NotFoundError: There is no such user.
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
        """Whether there was something to end; safe to repeat. One round trip, by_followerId_and_followingId."""
        pair = {"followerId": follower_id, "followingId": following_id}
        gone = await self._collection.delete_one(pair, hint=_PAIR_INDEX)
        return gone.deleted_count == 1

    async def is_following(self, follower_id: UserId, following_id: UserId) -> bool:
        """Whether one user follows another. One round trip, by_followerId_and_followingId."""
        return await self._one({"followerId": follower_id, "followingId": following_id}, hint=_PAIR_INDEX) is not None

    async def followers(self, user_id: UserId, *, limit: Limit = 20, after: Cursor | None = None) -> Page[Follow]:
        """Who follows the user, newest first. One round trip, by_followingId."""
        return await self._page({"followingId": user_id}, "by_followingId", limit, after)

    async def following(self, user_id: UserId, *, limit: Limit = 20, after: Cursor | None = None) -> Page[Follow]:
        """Whom the user follows, newest first. One round trip, by_followerId."""
        return await self._page({"followerId": user_id}, "by_followerId", limit, after)

    async def counts(self, user_id: UserId) -> FollowCounts:
        """How many follow the user, and are followed. 2 round trips, counted in by_followingId and by_followerId."""
        followers = await self._collection.count_documents({"followingId": user_id}, hint="by_followingId")
        following = await self._collection.count_documents({"followerId": user_id}, hint="by_followerId")
        return FollowCounts(followers, following)
