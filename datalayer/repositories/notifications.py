"""What people are told."""

from bson import ObjectId

from datalayer.documents.notifications import Notification
from datalayer.documents.users import User
from datalayer.engine.boundary import Cursor, Limit, Many
from datalayer.engine.fields import Json, Name
from datalayer.engine.pages import Page
from datalayer.engine.repository import Repository, not_found
from datalayer.ids import NotificationId, UserId
from datalayer.repositories.shared.authors import Author

BATCH = 1_000
"""How many users are notified with one command."""


class Notifications(Repository[Notification, NotificationId]):
    """What people are told. A notification keeps the actor's name and avatar of the time when it was made."""

    document = Notification

    async def notify(
        self, user_id: UserId, type: Name, *, actor_id: UserId | None = None, data: Json = None
    ) -> Notification | None:
        """Tell a user what an actor did; `None` where that is the same one. 2 round trips.

        Raises:
            NotFoundError: There is no such user or actor.
        """
        if user_id == actor_id:
            return None
        involved = [user_id] if actor_id is None else [user_id, actor_id]
        found = await self._of(User).find({"_id": {"$in": involved}}, {"name": 1, "avatarStorageId": 1}).to_list()
        users = {user["_id"]: Author.of(user) for user in found}
        for id in involved:
            if id not in users:
                raise not_found(User, id)
        actor = None if actor_id is None else users[actor_id]
        return await self._insert(self._made(user_id, type, actor_id, actor, data))

    async def notify_many(
        self, user_ids: Many[UserId], type: Name, *, actor_id: UserId | None = None, data: Json = None
    ) -> int:
        """Tell many users the same, each once and not the actor; gives how many were told.

        A transaction of 4 round trips, 3 without an actor, and another one for each 1,000 users more.

        Raises:
            NotFoundError: There is no such user or actor; nobody is told.
        """
        told = [id for id in dict.fromkeys(user_ids) if id != actor_id]

        async def work() -> int:
            actor = None if actor_id is None else await self._actor(actor_id)
            if not told:
                return 0
            await self._require_all(told)
            template = self._made(told[0], type, actor_id, actor, data).to_wire()
            for start in range(0, len(told), BATCH):
                batch = [template | {"_id": ObjectId(), "userId": id} for id in told[start : start + BATCH]]
                await self._collection.insert_many(batch)
            return len(told)

        return await self._connection.transaction(work)

    async def recent(self, user_id: UserId, *, limit: Limit = 20, after: Cursor | None = None) -> Page[Notification]:
        """What the user was told, newest first. One round trip, by_userId_and_createdAt."""
        return await self._page({"userId": user_id}, "by_userId_and_createdAt", limit, after)

    async def unread(self, user_id: UserId, *, limit: Limit = 20, after: Cursor | None = None) -> Page[Notification]:
        """What the user has not read, newest first. One round trip, by_userId_and_read."""
        return await self._page({"userId": user_id, "read": False}, "by_userId_and_read", limit, after)

    async def unread_count(self, user_id: UserId) -> int:
        """How many the user has not read. One round trip, covered by by_userId_and_read: a key for each."""
        return await self._collection.count_documents({"userId": user_id, "read": False}, hint="by_userId_and_read")

    async def mark_read(self, user_id: UserId, id: NotificationId) -> bool:
        """Note that the user has read it; whether it was one of the user's that were not. One round trip, `_id`."""
        mine = {"_id": id, "userId": user_id, "read": False}
        return (await self._collection.update_one(mine, {"$set": {"read": True}})).modified_count == 1

    async def mark_all_read(self, user_id: UserId) -> int:
        """Note that the user has read everything; gives how many that were.

        A transaction of 2 round trips, by_userId_and_read.
        """
        unread = {"userId": user_id, "read": False}
        return await self._update_all(unread, {"$set": {"read": True}}, "by_userId_and_read")

    def _made(
        self, user_id: UserId, type: str, actor_id: UserId | None, actor: Author | None, data: Json
    ) -> Notification:
        return Notification(
            user_id=user_id,
            type=type,
            actor_id=actor_id,
            actor_name=None if actor is None else actor.name,
            actor_avatar=None if actor is None else actor.avatar,
            data=data,
            read=False,
            created_at=self._now(),
        )

    async def _actor(self, id: UserId) -> Author:
        user = await self._of(User).find_one({"_id": id}, {"name": 1, "avatarStorageId": 1})
        if user is None:
            raise not_found(User, id)
        return Author.of(user)

    async def _require_all(self, ids: list[UserId]) -> None:
        """Counted on the server: in the usual case only a number comes back."""
        users = self._of(User)
        if await users.count_documents({"_id": {"$in": ids}}) == len(ids):
            return
        found = {user["_id"] for user in await users.find({"_id": {"$in": ids}}, {"_id": 1}).to_list()}
        missing = next((id for id in ids if id not in found), None)
        if missing is not None:
            raise not_found(User, missing)
