"""The copies of a user's name and avatar that are kept with what the user wrote."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import partial
from typing import Any

from bson import ObjectId

from datalayer.documents.comments import Comment
from datalayer.documents.conversations import Message
from datalayer.documents.posts import Post
from datalayer.documents.users import User
from datalayer.engine.batches import Batch
from datalayer.engine.collection import LOCK
from datalayer.engine.connection import Collection, Connection
from datalayer.engine.document import Document
from datalayer.engine.fields import StorageId
from datalayer.engine.repository import AT_ONCE, not_found
from datalayer.ids import UserId

MANY_COPIES = 500
"""More copies than this in a table are changed in batches."""

COPIES_AT_ONCE = 200
"""How many copies a batch changes: what the user writes meanwhile waits for no more."""

NAMELESS = "Member"
"""What a user without a name is called."""

COPIED = {"name": 1, "avatarStorageId": 1}
"""The projection of the copied fields of a user."""


@dataclass(frozen=True, slots=True)
class _Copies:
    """A table with copies: whose they are, the index on that, and what the name and the avatar are copied to."""

    document: type[Document]
    owner: str
    index: str
    name: str
    avatar: str | None

    def stale(self, id: UserId, author: "Author") -> dict[str, Any]:
        """The filter of the user's copies that are not what they should be."""
        other_name = {self.name: {"$ne": author.name}}
        if self.avatar is None:
            return {self.owner: id, **other_name}
        return {self.owner: id, "$or": [other_name, {self.avatar: {"$ne": author.avatar}}]}

    def update(self, author: "Author") -> dict[str, Any]:
        """The update that mends them."""
        if self.avatar is None:
            return {"$set": {self.name: author.name}}
        if author.avatar is None:
            return {"$set": {self.name: author.name}, "$unset": {self.avatar: ""}}
        return {"$set": {self.name: author.name, self.avatar: author.avatar}}


_COPIES = (
    _Copies(Post, "authorId", "by_authorId", "authorName", "authorAvatar"),
    _Copies(Comment, "authorId", "by_authorId", "authorName", "authorAvatar"),
    _Copies(Message, "senderId", "by_senderId", "senderName", None),
)


@dataclass(frozen=True, slots=True)
class Author:
    """What is copied."""

    name: str
    avatar: StorageId | None

    @classmethod
    def of(cls, user: Mapping[str, Any]) -> "Author":
        """The copies of a user, as MongoDB has it."""
        return cls(user.get("name", NAMELESS), user.get("avatarStorageId"))


async def lock_authors(users: Collection, ids: AbstractSet[UserId]) -> dict[UserId, Author]:
    """What to copy from those of the users who exist, in a transaction that conflicts with a change of it.

    Reading alone would let a document with the old name be written while the copies are being changed. One round trip
    for one user, 2 for several.
    """
    if len(ids) != 1:
        await users.update_many({"_id": {"$in": list(ids)}}, LOCK)
        return await authors_of(users, ids)
    found = [await users.find_one_and_update({"_id": id}, LOCK, COPIED) for id in ids]
    return {user["_id"]: Author.of(user) for user in found if user is not None}


async def authors_of(users: Collection, ids: AbstractSet[UserId]) -> dict[UserId, Author]:
    """Return the names and avatars of the existing users. Cost: 1 round trip."""
    found = await users.find({"_id": {"$in": list(ids)}}, COPIED, batch_size=AT_ONCE).to_list()
    return {user["_id"]: Author.of(user) for user in found}


async def has_many_copies(connection: Connection, id: UserId) -> bool:
    """Whether one transaction for all copies of the user would take long. One round trip, outside of a transaction."""
    first, *others = [
        [{"$match": {copies.owner: id}}, {"$limit": MANY_COPIES + 1}, {"$count": "copies"}] for copies in _COPIES
    ]
    also = [
        {"$unionWith": {"coll": copies.document.Settings.name, "pipeline": count}}
        for copies, count in zip(_COPIES[1:], others, strict=True)
    ]
    counts = await connection.collection(_COPIES[0].document).aggregate([*first, *also])
    return any(table["copies"] > MANY_COPIES for table in await counts.to_list())


async def update_copies(connection: Connection, id: UserId, author: Author) -> None:
    """Make all copies of the user what they should be. 3 round trips, by_authorId and by_senderId."""
    for copies in _COPIES:
        stale = copies.stale(id, author)
        await connection.collection(copies.document).update_many(stale, copies.update(author), hint=copies.index)


def copy_batches(connection: Connection, id: UserId) -> list[Batch]:
    """The same in many short transactions, each of which conflicts with less; readers see them happen one by one."""
    return [partial(_update_batch, connection, id, copies) for copies in _COPIES]


async def _update_batch(
    connection: Connection, id: UserId, copies: _Copies, after: ObjectId | None, size: int
) -> list[ObjectId]:
    authors = await lock_authors(connection.collection(User), {id})
    if id not in authors:
        raise not_found(User, id)
    author = authors[id]
    collection = connection.collection(copies.document)
    behind = {} if after is None else {"_id": {"$gt": after}}
    stale = collection.find({**copies.stale(id, author), **behind}, {"_id": 1}, limit=size, hint=copies.index)
    ids = [wire["_id"] for wire in await stale.to_list()]
    if ids:
        await collection.update_many({"_id": {"$in": ids}}, copies.update(author))
    return ids
