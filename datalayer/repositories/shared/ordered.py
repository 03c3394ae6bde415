"""Documents with an order within a parent. Readers see each change of the order completely or not at all."""

from collections.abc import Collection, Mapping
from typing import ClassVar

from bson import ObjectId
from pymongo import UpdateOne

from datalayer.engine.repository import AT_ONCE, DocumentT, IdT, Repository
from datalayer.errors import InvalidInputError


class OrderedRepository(Repository[DocumentT, IdT]):
    """Documents whose `order` is 0 to n-1 among the documents of one parent.

    Every change of an order writes to the parent first, so no two transactions change it concurrently.
    """

    parent: ClassVar[str]
    """The field that contains the parent's id, as named in MongoDB."""

    @property
    def _index(self) -> str:
        return f"by_{self.parent}_and_order"

    async def _in_order(self, parent_id: ObjectId) -> list[DocumentT]:
        async with self._connection.snapshot():
            return await self._all({self.parent: parent_id}, sort={"order": 1, "_id": 1}, hint=self._index)

    async def _next_place(self, parent_id: ObjectId) -> int:
        """Return the position after the last document. 1 round trip."""
        filter, sort = {self.parent: parent_id}, {"order": -1, "_id": -1}
        last = await self._collection.find_one(filter, {"order": 1}, sort=sort, hint=self._index)
        return 0 if last is None else int(last["order"]) + 1

    async def _places(self, parent_id: ObjectId) -> dict[IdT, int]:
        """Return the position of every document of the parent, in order. 1 round trip."""
        cursor = self._collection.find(
            {self.parent: parent_id},
            {"order": 1},
            sort={"order": 1, "_id": 1},
            hint=self._index,
            batch_size=AT_ONCE,
        )
        return {wire["_id"]: int(wire["order"]) for wire in await cursor.to_list()}

    async def _put_in_order(self, places: Mapping[IdT, int], ids: Collection[IdT]) -> None:
        """Set the positions of the documents to 0 to n-1, where they differ. 1 round trip, none if all are right.

        This also fixes imported positions with gaps or duplicates.
        """
        moved = {id: order for order, id in enumerate(ids) if places[id] != order}
        if moved:
            at = {"updatedAt": self._now()} if "updated_at" in self.document.model_fields else {}
            updates = [UpdateOne({"_id": id}, {"$set": {"order": order, **at}}) for id, order in moved.items()]
            await self._collection.bulk_write(updates)

    async def _close_gap(self, parent_id: ObjectId) -> None:
        """Move up the documents after a free position. 2 round trips, 1 if there are none."""
        places = await self._places(parent_id)
        await self._put_in_order(places, places)

    async def _reorder(self, parent_id: ObjectId, ids: Collection[IdT]) -> None:
        """Set the order of all documents of the parent. 2 round trips.

        Raises:
            InvalidInputError: `ids` does not contain each of them exactly once.
        """
        places = await self._places(parent_id)
        if len(ids) != len(places) or places.keys() != set(ids):
            what = f"{self.document.Settings.name} of the {self.parent.removesuffix('Id')}"
            raise InvalidInputError("ids", f"must contain all {what}, each exactly once")
        await self._put_in_order(places, ids)
