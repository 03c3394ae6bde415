"""What people are told."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from pymongo.errors import BulkWriteError, PyMongoError

from datalayer.documents.notifications import Notification
from datalayer.documents.users import User
from datalayer.engine.boundary import Cursor, Limit, Many
from datalayer.engine.connection import Connection
from datalayer.engine.fields import Json, Key, Name
from datalayer.engine.group_commit import GroupCommit
from datalayer.engine.ids import new_object_id
from datalayer.engine.pages import Page
from datalayer.engine.repository import AT_ONCE, Repository, not_found
from datalayer.engine.translation import translate
from datalayer.errors import DataLayerError, IncompleteError, InvalidInputError, NotFoundError
from datalayer.ids import NotificationId, UserId
from datalayer.repositories.shared.authors import Author
from datalayer.repositories.shared.telling import Actor, Notice, tell

BATCH = 1_000
"""How many users are notified with one command."""

MAX_AT_ONCE = 10_000
"""How many users are notified in one transaction."""

_DUPLICATE_KEY = 11000


@dataclass(frozen=True, slots=True)
class _Wish:
    """What a call of `notify` asks for."""

    type: str
    actor_id: UserId | None
    data: Json
    gather: str | None


class Notifications(Repository[Notification, NotificationId]):
    """What people are told. A notification keeps the actor's name and avatar of the time when it was made.

    A gathered notification counts all acts of one type on one target until it is read, and shows the newest actor.
    """

    document = Notification

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self._groups = GroupCommit[UserId, _Wish, Notification | None](
            # Not the user: only what the user is told.
            connection,
            self._tell,
            lambda user_id: [(Notification.Settings.name, user_id)],
        )

    async def notify(
        self,
        user_id: UserId,
        type: Name,
        *,
        actor_id: UserId | None = None,
        data: Json = None,
        gather: Key | None = None,
    ) -> Notification | None:
        """Tell a user what an actor did; `None` where that is the same one.

        2 round trips. With `gather` a transaction of 4 round trips, by_userId_and_type_and_gatherKey, shared with
        concurrent calls for the same user.

        Args:
            user_id: Whom.
            type: What happened.
            actor_id: Who did it.
            data: The application's own.
            gather: What it happened to, such as `post:<id>`. While the user has an unread notification of this type
                and key, the call counts up in it: `gather_count` grows by 1, actor and `created_at` become those of the
                call, and so does `data` unless that is `None`. So "5 people liked your post" is one notification,
                however many processes count up in it. After it was read, the next call begins another one.

        Returns:
            The notification, as it is after this call.

        Raises:
            NotFoundError: There is no such user or actor.
        """
        if user_id == actor_id:
            return None
        wish = _Wish(type, actor_id, data, gather)
        if gather is not None:
            return await self._groups.submit(user_id, wish)
        notice = _notice(user_id, wish, await self._authors({user_id, actor_id}))
        return await self._insert(notice.begin(self._connection, self._now()))

    async def notify_many(
        self,
        user_ids: Many[UserId],
        type: Name,
        *,
        actor_id: UserId | None = None,
        data: Json = None,
        once: Key | None = None,
    ) -> int:
        """Tell many users the same, each once and not the actor; returns how many were told.

        Up to 10,000 users are told in one transaction. It takes 4 round trips, 3 without an actor, and another one for
        each 1,000 users more. With `once` it takes 5 round trips, 4 without an actor, and another two for each 1,000
        users more; by_userId_and_once.

        More users are told in batches of 1,000, by a read and an insert each, and `once` is needed: after an
        interruption, another call with the same `once` tells those who are left. A call takes up to 500,000 users. To
        tell a million, call it twice with the same `once`.

        Everybody gets a notification of their own. A single one for everybody would have to be merged, with a mark of
        what each user has read of it, into every `recent`, `unread` and `unread_count`. These stay one indexed query.

        Args:
            user_ids: Whom.
            type: What happened.
            actor_id: Who did it.
            data: The application's own.
            once: A name for this announcement. Each user gets at most one notification of this name, however many calls
                there are, and from wherever. Users who have deleted theirs get another one.

        Raises:
            NotFoundError: There is no such user or actor; nobody is told.
            InvalidInputError: There are more than 10,000 users, and `once` is missing or a transaction is open.
            IncompleteError: Some may be told. Call it again to tell the others.
        """
        told = [id for id in dict.fromkeys(user_ids) if id != actor_id]
        fits = len(told) <= MAX_AT_ONCE
        if not fits and self._connection.transaction_is_open():
            raise InvalidInputError("user_ids", f"must be at most {MAX_AT_ONCE:,} inside a transaction")
        if not fits and once is None:
            raise InvalidInputError("once", f"is missing; more than {MAX_AT_ONCE:,} users are told in batches")
        wish = _Wish(type, actor_id, data, gather=None)
        if fits:
            return await self._connection.transaction(partial(self._tell_at_once, told, wish, once))
        return await self._tell_in_batches(told, wish, once)

    async def recent(self, user_id: UserId, *, limit: Limit = 20, after: Cursor | None = None) -> Page[Notification]:
        """What the user was told, newest first. One round trip, by_userId_and_createdAt.

        A gathered notification is as new as the last act that it counts.
        """
        return await self._page({"userId": user_id}, "by_userId_and_createdAt", limit, after)

    async def unread(self, user_id: UserId, *, limit: Limit = 20, after: Cursor | None = None) -> Page[Notification]:
        """What the user has not read, newest first. One round trip, by_userId_and_read.

        A gathered notification keeps the place of the first act that it counts, so pages do not miss it.
        """
        return await self._page({"userId": user_id, "read": False}, "by_userId_and_read", limit, after)

    async def unread_count(self, user_id: UserId) -> int:
        """How many the user has not read. One round trip, covered by by_userId_and_read: a key for each.

        A gathered notification is one, whatever it counts.
        """
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

    async def _tell(self, user_id: UserId, wishes: Sequence[_Wish]) -> Sequence[Notification | Exception | None]:
        """Let a notification of the user count each of the wishes. In a transaction."""
        authors = await self._authors({user_id, *(wish.actor_id for wish in wishes)})
        notices: list[Notice | NotFoundError] = []
        for wish in wishes:
            try:
                notices.append(_notice(user_id, wish, authors))
            except NotFoundError as error:
                notices.append(error)
        acts = [[notice] if isinstance(notice, Notice) else [] for notice in notices]
        told = await tell(self._connection, acts, known=authors)
        return [
            act.get(user_id) if isinstance(notice, Notice) else notice
            for notice, act in zip(notices, told, strict=True)
        ]

    async def _authors(self, ids: set[UserId | None]) -> dict[UserId, Author]:
        some = {"_id": {"$in": [id for id in ids if id is not None]}}
        users = self._of(User).find(some, {"name": 1, "avatarStorageId": 1}, batch_size=AT_ONCE)
        return {user["_id"]: Author.of(user) for user in await users.to_list()}

    async def _template(self, user_ids: Sequence[UserId], wish: _Wish, once: str | None) -> dict[str, Any]:
        """What the users are told, but for whom and the id; they and the actor exist."""
        authors = {} if wish.actor_id is None else await self._authors({wish.actor_id})
        actor = _actor(wish, authors)
        if not user_ids:
            return {}
        await self._require_all(user_ids)
        row = Notice(user_ids[0], wish.type, actor, wish.data).begin(self._connection, self._now())
        return row.model_copy(update={"once": once}).to_wire()

    async def _tell_at_once(self, user_ids: Sequence[UserId], wish: _Wish, once: str | None) -> int:
        """Tell the users; return how many were told. In a transaction."""
        template, count = await self._template(user_ids, wish, once), 0
        for batch in _batches(user_ids):
            rows = await self._lacking(batch, template)
            count += len(rows)
            if rows:
                await self._collection.insert_many(rows)
        return count

    async def _tell_in_batches(self, user_ids: Sequence[UserId], wish: _Wish, once: str | None) -> int:
        """Tell the users; return how many were told.

        Outside of transactions: one that a killed process leaves open would keep the next call waiting until the server
        ends it.
        """
        template, count = await self._template(user_ids, wish, once), 0
        try:
            for batch in _batches(user_ids):
                count += await self._insert_new(await self._lacking(batch, template))
        except (DataLayerError, PyMongoError) as error:
            if isinstance(error, PyMongoError) and isinstance(translate(error), InvalidInputError):
                # They differ only in ids: where one is refused, all are.
                raise
            raise IncompleteError from error
        return count

    async def _lacking(self, user_ids: Sequence[UserId], template: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The notifications of those users who were not told of the announcement before."""
        before: set[UserId] = set()
        if "once" in template:
            told = {"userId": {"$in": user_ids}, "once": template["once"]}
            # What is not durable may be lost, and who was told so is not told again.
            rows = self._of(Notification, durable=True)
            found = rows.find(told, {"userId": 1}, batch_size=AT_ONCE, hint="by_userId_and_once")
            before = {row["userId"] for row in await found.to_list()}
        return [{**template, "_id": new_object_id(), "userId": id} for id in user_ids if id not in before]

    async def _insert_new(self, rows: Sequence[dict[str, Any]]) -> int:
        """Insert those notifications that another call has not inserted meanwhile; return how many."""
        if not rows:
            return 0
        try:
            await self._collection.insert_many(rows, ordered=False)
        except BulkWriteError as error:
            if any(refused["code"] != _DUPLICATE_KEY for refused in error.details["writeErrors"]):
                raise
            return int(error.details["nInserted"])
        return len(rows)

    async def _require_all(self, ids: Sequence[UserId]) -> None:
        """Counted on the server: in the usual case only a number comes back."""
        users = self._of(User)
        if await users.count_documents({"_id": {"$in": ids}}) == len(ids):
            return
        found = {user["_id"] for user in await users.find({"_id": {"$in": ids}}, {"_id": 1}).to_list()}
        missing = next((id for id in ids if id not in found), None)
        if missing is not None:
            raise not_found(User, missing)


def _batches(user_ids: Sequence[UserId]) -> Iterator[Sequence[UserId]]:
    for start in range(0, len(user_ids), BATCH):
        yield user_ids[start : start + BATCH]


def _notice(user_id: UserId, wish: _Wish, authors: Mapping[UserId, Author]) -> Notice:
    if user_id not in authors:
        raise not_found(User, user_id)
    return Notice(user_id, wish.type, _actor(wish, authors), wish.data, wish.gather)


def _actor(wish: _Wish, authors: Mapping[UserId, Author]) -> Actor | None:
    if wish.actor_id is None:
        return None
    if wish.actor_id not in authors:
        raise not_found(User, wish.actor_id)
    return Actor(wish.actor_id, authors[wish.actor_id])
