"""The spaces, and who has been there when."""

import builtins  # Python 3.14 takes a `list` in an annotation of the class for its method
from collections.abc import Mapping
from typing import Annotated, Any

from pymongo import ReturnDocument, UpdateOne

from datalayer.documents.spaces import PostPermission, Space, SpaceVisit, Visibility
from datalayer.documents.users import User
from datalayer.engine.boundary import UNSET, Many, Unset
from datalayer.engine.collection import LOCK
from datalayer.engine.fields import Name, Text
from datalayer.engine.ids import new_object_id
from datalayer.engine.repository import ALIVE, AT_ONCE, Repository, SoftDeletingRepository, not_found
from datalayer.errors import InvalidInputError
from datalayer.ids import SpaceId, SpaceVisitId, UserId

UNREAD_CAP = 100
"""Unread posts of a space are counted up to here."""

_ALIVE_INDEX = "by_deletedAt_and_order"
_PAIR_INDEX = "by_userId_and_spaceId"


class Spaces(SoftDeletingRepository[Space, SpaceId]):
    """The spaces, in an order of their own: 0 to n-1 among those that are not deleted.

    What changes the order writes to the last space, and so conflicts with anything else that does. Gaps in an order
    that was imported are closed by `reorder` and `delete`.
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
        """Make a space, last in the order. A transaction of 3 round trips, by_deletedAt_and_order."""

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
        """Change some of the space's fields. One round trip.

        Raises:
            NotFoundError: There is none.
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
        """Mark the space as deleted; those behind it move up. A transaction of 5 round trips, by_deletedAt_and_order.

        Raises:
            NotFoundError: There is none, or it is deleted.
        """

        async def work() -> None:
            await self._lock_order()
            await self._update({"_id": id, **ALIVE}, {"$set": {"deletedAt": self._now()}})
            left = await self._all(ALIVE, sort={"order": 1}, hint=_ALIVE_INDEX)
            # In ascending order, so that no two have the same place at any moment.
            await self._place({space.id: order for order, space in enumerate(left) if space.order != order})

        await self._connection.transaction(work)

    async def restore(self, id: SpaceId) -> Space:
        """Bring a deleted space back, last in the order. A transaction of 4 round trips, by_deletedAt_and_order.

        Raises:
            NotFoundError: There is none.
        """

        async def work() -> Space:
            space = self._found(await self._one({"_id": id}), id)
            if space.deleted_at is None:
                return space
            order = await self._lock_order()
            return await self._update({"_id": id}, {"$set": {"order": order}, "$unset": {"deletedAt": ""}})

        return await self._connection.transaction(work)

    async def by_visibility(self, visibility: Visibility) -> builtins.list[Space]:
        """The spaces of a visibility, in order. One round trip, by_visibility."""
        async with self._connection.snapshot():
            spaces = await self._all({"visibility": visibility, **ALIVE}, hint="by_visibility")
        return sorted(spaces, key=lambda space: space.order)

    async def reorder(self, ids: Many[SpaceId]) -> None:
        """Put the spaces into this order: all of them, seen at once by readers.

        A transaction of 5 round trips, by_deletedAt_and_order.

        Raises:
            InvalidInputError: `ids` is not each space that is not deleted, once.
        """

        async def work() -> None:
            behind = await self._lock_order()
            spaces = {space.id: space for space in await self._all(ALIVE, hint=_ALIVE_INDEX)}
            if len(ids) != len(spaces) or spaces.keys() != set(ids):
                raise InvalidInputError("ids", "must be all spaces that are not deleted, each once")
            places = {id: order for order, id in enumerate(ids) if spaces[id].order != order}
            # First out of the way: the places are unique at every moment.
            await self._place({id: order + behind for id, order in places.items()})
            await self._place(places)

        await self._connection.transaction(work)

    async def list(self, *, include_deleted: bool = False) -> builtins.list[Space]:
        """All spaces in order. One round trip, by_deletedAt_and_order; with the deleted ones by_order."""
        async with self._connection.snapshot():
            if include_deleted:
                return await self._all({}, sort={"order": 1, "_id": 1}, hint="by_order")
            return await self._all(ALIVE, sort={"order": 1}, hint=_ALIVE_INDEX)

    async def _lock_order(self) -> int:
        """The place behind the last one. Writes to the last, so that no two transactions change the order at once.

        Before the first space, the unique index by_deletedAt_and_order does this.
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
    """When somebody was in a space last."""

    document = SpaceVisit

    async def record(self, user_id: UserId, space_id: SpaceId) -> SpaceVisit:
        """Note that the user is in the space now; it never moves backwards.

        One round trip, the first time 4; by_userId_and_spaceId.

        Raises:
            NotFoundError: There is no such user or space, at the first visit.
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
        """For every space, the posts by others since the user's last visit, counted up to 100. 2 round trips.

        A space that the user never visited counts from the user's `createdAt`. Served by by_deletedAt_and_order, and
        for each space by by_userId_and_spaceId and by at most 100 index keys of by_spaceId_and_createdAt; and by those
        of the posts between that are deleted or the user's own.

        Raises:
            NotFoundError: There is no such user.
        """
        user = await self._of(User).find_one({"_id": user_id}, {"createdAt": 1})
        if user is None:
            raise not_found(User, user_id)
        pipeline = _unread(user_id, user["createdAt"])
        cursor = await self._of(Space).aggregate(pipeline, batchSize=AT_ONCE, hint=_ALIVE_INDEX)
        return {space["_id"]: space["posts"] async for space in cursor}


def _unread(user_id: UserId, joined: int) -> list[dict[str, Any]]:
    # A lookup takes no hint. Only by_userId_and_spaceId and by_spaceId_and_createdAt have the orders asked for.
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
