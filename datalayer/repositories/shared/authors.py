"""The copies of a user's name and avatar in the documents that the user wrote."""

import asyncio
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
"""With more copies than this in one collection, the copies are changed in batches."""

COPIES_AT_ONCE = 200
"""The number of copies that one batch changes. The user's concurrent writes wait for one batch at most."""

NAMELESS = "Member"
"""The name shown for a user without a name."""

COPIED = {"name": 1, "avatarStorageId": 1}
"""The projection of the fields that are copied from a user."""


@dataclass(frozen=True, slots=True)
class _Copies:
    """A collection with copies: the owner's field and its index, and the fields with the copied name and avatar."""

    document: type[Document]
    owner: str
    index: str
    name: str
    avatar: str | None

    def stale(self, id: UserId, author: "Author") -> dict[str, Any]:
        """Return the filter of the user's copies that are out of date."""
        other_name = {self.name: {"$ne": author.name}}
        if self.avatar is None:
            return {self.owner: id, **other_name}
        return {self.owner: id, "$or": [other_name, {self.avatar: {"$ne": author.avatar}}]}

    def update(self, author: "Author") -> dict[str, Any]:
        """Return the update that fixes them."""
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
    """The name and avatar that are copied."""

    name: str
    avatar: StorageId | None

    @classmethod
    def of(cls, user: Mapping[str, Any]) -> "Author":
        """Return the copies for a user document, as MongoDB stores it."""
        return cls(user.get("name", NAMELESS), user.get("avatarStorageId"))


async def lock_authors(users: Collection, ids: AbstractSet[UserId]) -> dict[UserId, Author]:
    """Lock the existing users by a write, and return what to copy from each. Runs in a transaction.

    The write conflicts with a change of the user. A read alone would allow a document with the old name to be inserted
    while the copies are being changed. 1 round trip for one user, 2 for several.
    """
    if len(ids) != 1:
        await users.update_many({"_id": {"$in": list(ids)}}, LOCK)
        return await authors_of(users, ids)
    found = [await users.find_one_and_update({"_id": id}, LOCK, COPIED) for id in ids]
    return {user["_id"]: Author.of(user) for user in found if user is not None}


async def authors_of(users: Collection, ids: AbstractSet[UserId]) -> dict[UserId, Author]:
    """Return the names and avatars of the existing users. 1 round trip."""
    found = await users.find({"_id": {"$in": list(ids)}}, COPIED, batch_size=AT_ONCE).to_list()
    return {user["_id"]: Author.of(user) for user in found}


async def has_many_copies(connection: Connection, id: UserId) -> bool:
    """Return whether one transaction for all copies of the user would take long. 3 concurrent round trips."""
    counts = await asyncio.gather(
        *(
            connection.collection(copies.document).count_documents(
                {copies.owner: id}, limit=MANY_COPIES + 1, hint=copies.index
            )
            for copies in _COPIES
        )
    )
    return max(counts) > MANY_COPIES


async def update_copies(connection: Connection, id: UserId, author: Author) -> None:
    """Update all copies of the user. 3 round trips; indexes by_authorId and by_senderId."""
    for copies in _COPIES:
        stale = copies.stale(id, author)
        await connection.collection(copies.document).update_many(stale, copies.update(author), hint=copies.index)


def copy_batches(connection: Connection, id: UserId) -> list[Batch]:
    """Return batches that do the same in many short transactions, which conflict less; readers see them one by one."""
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
