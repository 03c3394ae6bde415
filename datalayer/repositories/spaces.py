"""Spaces, and the visits of users to them."""

import builtins  # Python 3.14 takes a `list` in an annotation of the class for its method
from collections.abc import Mapping
from typing import Annotated, Any

from pymongo import ReturnDocument, UpdateOne

from datalayer.documents.spaces import PostPermission, Space, SpaceVisit, Visibility
from datalayer.documents.users import User
from datalayer.engine.boundary import UNSET, AnyCollection, Unset
from datalayer.engine.collection import LOCK
from datalayer.engine.fields import Name, Text
from datalayer.engine.ids import new_object_id
from datalayer.engine.repository import ALIVE, AT_ONCE, Repository, SoftDeletingRepository, not_found
from datalayer.errors import InvalidInputError
from datalayer.ids import SpaceId, SpaceVisitId, UserId

UNREAD_CAP = 100
"""The maximum that the unread posts of a space are counted to."""

_ALIVE_INDEX = "by_deletedAt_and_order"
_PAIR_INDEX = "by_userId_and_spaceId"


class Spaces(SoftDeletingRepository[Space, SpaceId]):
    """The spaces, ordered: 0 to n-1 among those that are not deleted.

    Every change of the order writes to the last space, so such changes conflict with each other. Gaps in an imported
    order are closed by `reorder` and `delete`.
    """

    document = Space

    async def create(
        self,
        *,
        name: Annotated[str, Text(1, 50)],
        visibility: Visibility = "public",
        post_permission: PostPermission = "all",
        description: Annotated[str, Text(0, 200)] | None = None,
        icon: Name | None = None,
        required_tier: Name | None = None,
    ) -> Space:
        """Create a space at the end of the order.

        Cost: one transaction, 3 round trips; index by_deletedAt_and_order.
        """

        async def work() -> Space:
            return await self._insert(
                self.document(
                    name=name,
                    visibility=visibility,
                    post_permission=post_permission,
                    description=description,
                    icon=icon,
                    required_tier=required_tier,
                    order=await self._lock_order(),
                    created_at=self._now(),
                )
            )

        return await self._connection.transaction(work)

    async def update(
        self,
        id: SpaceId,
        *,
        name: Annotated[str, Text(1, 50)] | Unset = UNSET,
        visibility: Visibility | Unset = UNSET,
        post_permission: PostPermission | Unset = UNSET,
        description: Annotated[str, Text(0, 200)] | Unset | None = UNSET,
        icon: Name | Unset | None = UNSET,
        required_tier: Name | Unset | None = UNSET,
    ) -> Space:
        """Change the given fields of the space.

        Raises:
            NotFoundError: The space does not exist or is deleted.

        Cost: 1 round trip; index `_id`.
        """
        changes = self._changes(
            name=name,
            visibility=visibility,
            post_permission=post_permission,
            description=description,
            icon=icon,
            required_tier=required_tier,
        )
        return await self._update({"_id": id, **ALIVE}, changes)

    async def delete(self, id: SpaceId) -> None:
        """Soft-delete the space. Later spaces move up.

        Raises:
            NotFoundError: The space does not exist or is already deleted.

        Cost: one transaction, 5 round trips; index by_deletedAt_and_order.
        """

        async def work() -> None:
            await self._lock_order()
            await self._update({"_id": id, **ALIVE}, {"$set": {"deletedAt": self._now()}})
            left = await self._all(ALIVE, sort={"order": 1}, hint=_ALIVE_INDEX)
            # In ascending order, so that no two spaces ever have the same position.
            await self._place({space.id: order for order, space in enumerate(left) if space.order != order})

        await self._connection.transaction(work)

    async def restore(self, id: SpaceId) -> Space:
        """Restore a deleted space at the end of the order. Idempotent.

        Raises:
            NotFoundError: The space does not exist.

        Cost: one transaction, 4 round trips; index by_deletedAt_and_order.
        """

        async def work() -> Space:
            space = self._found(await self._one({"_id": id}), id)
            if space.deleted_at is None:
                return space
            order = await self._lock_order()
            return await self._update({"_id": id}, {"$set": {"order": order}, "$unset": {"deletedAt": ""}})

        return await self._connection.transaction(work)

    async def by_visibility(self, visibility: Visibility) -> builtins.list[Space]:
        """Return the spaces with this visibility, in order.

        Cost: 1 round trip; index by_visibility.
        """
        async with self._connection.snapshot():
            spaces = await self._all({"visibility": visibility, **ALIVE}, hint="by_visibility")
        return sorted(spaces, key=lambda space: space.order)

    async def reorder(self, ids: AnyCollection[SpaceId]) -> None:
        """Set the order of all spaces. Readers see either the old order or the new one.

        Raises:
            InvalidInputError: `ids` does not contain each space that is not deleted exactly once.

        Cost: one transaction, 5 round trips; index by_deletedAt_and_order.
        """

        async def work() -> None:
            behind = await self._lock_order()
            spaces = {space.id: space for space in await self._all(ALIVE, hint=_ALIVE_INDEX)}
            if len(ids) != len(spaces) or spaces.keys() != set(ids):
                raise InvalidInputError("ids", "must contain all spaces that are not deleted, each exactly once")
            places = {id: order for order, id in enumerate(ids) if spaces[id].order != order}
            # Move them out of the way first, because positions must be unique at every moment.
            await self._place({id: order + behind for id, order in places.items()})
            await self._place(places)

        await self._connection.transaction(work)

    async def list(self, *, include_deleted: bool = False) -> builtins.list[Space]:
        """Return all spaces in order, optionally including deleted ones.

        Cost: 1 round trip; index by_deletedAt_and_order, by_order with deleted spaces.
        """
        async with self._connection.snapshot():
            if include_deleted:
                return await self._all({}, sort={"order": 1, "_id": 1}, hint="by_order")
            return await self._all(ALIVE, sort={"order": 1}, hint=_ALIVE_INDEX)

    async def _lock_order(self) -> int:
        """Return the position after the last space. Writes to the last space, so that changes of the order conflict.

        If there is no space yet, the unique index by_deletedAt_and_order does this.
        """
        last = await self._collection.find_one_and_update(
            ALIVE, LOCK, {"order": 1}, sort={"order": -1}, hint=_ALIVE_INDEX
        )
        return 0 if last is None else int(last["order"]) + 1

    async def _place(self, orders: Mapping[SpaceId, int]) -> None:
        if orders:
            updates = [UpdateOne({"_id": id}, {"$set": {"order": order}}) for id, order in orders.items()]
            await self._collection.bulk_write(updates)


class SpaceVisits(Repository[SpaceVisit, SpaceVisitId]):
    """The time of each user's last visit to each space."""

    document = SpaceVisit

    async def record(self, user_id: UserId, space_id: SpaceId) -> SpaceVisit:
        """Record a visit of the user to the space, now. The timestamp never decreases.

        Raises:
            NotFoundError: On the first visit: the user or space does not exist, or the space is deleted.

        Cost: 1 round trip, 4 on the first visit; index by_userId_and_spaceId.
        """
        pair = {"userId": user_id, "spaceId": space_id}
        visit = {"$max": {"lastVisitedAt": self._now()}}
        wire = await self._collection.find_one_and_update(
            pair, visit, return_document=ReturnDocument.AFTER, hint=_PAIR_INDEX
        )
        if wire is None:
            await self._require(User, user_id)
            await self._require(Space, space_id)
            wire = await self._collection.find_one_and_update(
                pair,
                visit | {"$setOnInsert": {"_id": new_object_id()}},
                upsert=True,
                return_document=ReturnDocument.AFTER,
                hint=_PAIR_INDEX,
            )
        return self.document.from_wire(wire or {})

    async def unread(self, user_id: UserId) -> dict[SpaceId, int]:
        """Count, for every space, the posts by other users since the user's last visit, up to 100 per space.

        In a space that the user never visited, posts since the user's `createdAt` count.

        Raises:
            NotFoundError: The user does not exist.

        Cost: 2 round trips; indexes by_deletedAt_and_order and, for each space, by_userId_and_spaceId and at most 100
        keys of by_spaceId_and_createdAt, plus those of deleted posts and of the user's own posts in between.
        """
        user = await self._of(User).find_one({"_id": user_id}, {"createdAt": 1})
        if user is None:
            raise not_found(User, user_id)
        pipeline = _unread(user_id, user["createdAt"])
        cursor = await self._of(Space).aggregate(pipeline, batchSize=AT_ONCE, hint=_ALIVE_INDEX)
        return {space["_id"]: space["posts"] async for space in cursor}


def _unread(user_id: UserId, joined: int) -> list[dict[str, Any]]:
    # A lookup takes no hint. The sorts make the server choose by_userId_and_spaceId and by_spaceId_and_createdAt.
    visits = {
        "from": "spaceVisits",
        "localField": "_id",
        "foreignField": "spaceId",
        "pipeline": [{"$match": {"userId": user_id}}, {"$sort": {"userId": 1, "spaceId": 1}}],
        "as": "visits",
    }
    newer = {"$and": [{"$eq": ["$spaceId", "$$space"]}, {"$gt": ["$createdAt", "$$since"]}]}
    posts = {
        "from": "posts",
        "let": {"space": "$_id", "since": {"$ifNull": [{"$first": "$visits.lastVisitedAt"}, joined]}},
        "pipeline": [
            {"$match": {"$expr": newer, **ALIVE, "authorId": {"$ne": user_id}}},
            {"$sort": {"createdAt": 1}},
            {"$limit": UNREAD_CAP},
            {"$count": "count"},
        ],
        "as": "posts",
    }
    count = {"$ifNull": [{"$first": "$posts.count"}, 0]}
    return [{"$match": ALIVE}, {"$lookup": visits}, {"$lookup": posts}, {"$project": {"posts": count}}]
