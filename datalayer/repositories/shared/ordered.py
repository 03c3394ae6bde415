"""Documents that have an order of their own within a parent, and readers that see all of a change or nothing."""

from collections.abc import Collection
from typing import ClassVar

from bson import ObjectId
from pymongo import UpdateOne

from datalayer.engine.repository import AT_ONCE, D, I, Repository
from datalayer.errors import InvalidInputError


class OrderedRepository(Repository[D, I]):
    """Documents whose `order` is 0 to n-1 among those of one parent.

    What changes an order writes to the parent first, so that no two transactions change it at once.
    """

    parent: ClassVar[str]
    """The field that has the parent's id, as MongoDB names it."""

    @property
    def _index(self) -> str:
        return f"by_{self.parent}_and_order"

    async def _in_order(self, parent_id: ObjectId) -> list[D]:
        async with self._connection.snapshot():
            return await self._all({self.parent: parent_id}, sort={"order": 1, "_id": 1}, hint=self._index)

    async def _next_place(self, parent_id: ObjectId) -> int:
        """The place behind the last. One round trip."""
        filter, sort = {self.parent: parent_id}, {"order": -1, "_id": -1}
        last = await self._collection.find_one(filter, {"order": 1}, sort=sort, hint=self._index)
        return 0 if last is None else int(last["order"]) + 1

    async def _close_gap(self, parent_id: ObjectId, order: int) -> None:
        """Move up what is behind a place that has become free. One round trip."""
        behind = {self.parent: parent_id, "order": {"$gt": order}}
        await self._collection.update_many(behind, {"$inc": {"order": -1}}, hint=self._index)

    async def _put_in_order(self, parent_id: ObjectId, ids: Collection[I]) -> None:
        """Give everything in the parent its place. 2 round trips.

        Raises:
            InvalidInputError: `ids` is not all of it, each once.
        """
        cursor = self._collection.find({self.parent: parent_id}, {"order": 1}, hint=self._index, batch_size=AT_ONCE)
        orders = {wire["_id"]: wire["order"] for wire in await cursor.to_list()}
        if len(ids) != len(orders) or orders.keys() != set(ids):
            what = f"{self.document.Settings.name} of the {self.parent.removesuffix('Id')}"
            raise InvalidInputError("ids", f"must be all {what}, each once")
        moved = {id: order for order, id in enumerate(ids) if orders[id] != order}
        if moved:
            updates = [UpdateOne({"_id": id}, {"$set": {"order": order}}) for id, order in moved.items()]
            await self._collection.bulk_write(updates)
