"""Notifications."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from pymongo.errors import BulkWriteError, PyMongoError

from datalayer.documents.notifications import Notification
from datalayer.documents.users import User
from datalayer.engine.boundary import AnyCollection, Cursor, Limit
from datalayer.engine.connection import Connection
from datalayer.engine.fields import Json, Name, ReferenceKey
from datalayer.engine.group_commit import GroupCommit
from datalayer.engine.ids import new_object_id
from datalayer.engine.pages import Page
from datalayer.engine.repository import AT_ONCE, Repository, not_found
from datalayer.engine.translation import translate
from datalayer.errors import DataLayerError, IncompleteError, InvalidInputError, NotFoundError
from datalayer.ids import NotificationId, UserId
from datalayer.repositories.shared.authors import Author, authors_of
from datalayer.repositories.shared.telling import Actor, Notice, tell

BATCH = 1_000
"""How many users one command notifies."""

MAX_AT_ONCE = 10_000
"""How many users one transaction notifies."""

_DUPLICATE_KEY = 11000


@dataclass(frozen=True, slots=True)
class _Wish:
    """The arguments of one call of `notify`."""

    type: str
    actor_id: UserId | None
    data: Json
    gather: str | None


class Notifications(Repository[Notification, NotificationId]):
    """The notifications. Each keeps the actor's name and avatar from the time of its creation.

    A gathered notification counts all acts of one type on one target until it is read, and shows the newest actor.
    """

    document = Notification

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self._groups = GroupCommit[UserId, _Wish, Notification | None](
            # Not the user: only the user's notifications are written.
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
        gather: ReferenceKey | None = None,
    ) -> Notification | None:
        """Notify a user of something that an actor did.

        Args:
            user_id: The recipient.
            type: The type of the notification; the application names it.
            actor_id: The user who acted.
            data: Data of the application.
            gather: What the act was about, such as `post:<id>`. While the recipient has an unread notification with
                this type and key, the call is counted in it: `gather_count` grows by 1, the actor and `created_at` are
                replaced, and so is `data` unless it is `None`. So "5 people liked your post" is one notification,
                however many processes add to it. After it was read, the next call starts a new one.

        Returns:
            The notification as it is after this call, or `None` if the user is the actor.

        Raises:
            NotFoundError: The user or actor does not exist.

        Cost: 2 round trips. With `gather` one transaction of 4 round trips; index by_userId_and_type_and_gatherKey;
        concurrent calls for the same user share it.
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
        user_ids: AnyCollection[UserId],
        type: Name,
        *,
        actor_id: UserId | None = None,
        data: Json = None,
        once: ReferenceKey | None = None,
    ) -> int:
        """Send the same notification to many users, once to each, but not to the actor.

        Up to 10,000 users are notified in one transaction. More are notified in batches of 1,000, with a read and an
        insert for each batch. This requires `once`: after an interruption, another call with the same `once` notifies
        the remaining users. A call takes up to 500,000 users; for a million, call it twice with the same `once`.

        Each user gets a notification of their own. A single shared one would have to be merged, with a record of who
        has read it, into every `recent`, `unread` and `unread_count`. Those stay one indexed query.

        Args:
            user_ids: The recipients.
            type: The type of the notification; the application names it.
            actor_id: The user who acted.
            data: Data of the application.
            once: A name for this announcement. Each user gets at most one notification with this name, however many
                calls there are and wherever they come from. Users who have deleted theirs get another one.

        Returns:
            The number of users who were notified.

        Raises:
            NotFoundError: A user or the actor does not exist. Nobody is notified.
            InvalidInputError: There are more than 10,000 users, and `once` is missing or a transaction is open.
            IncompleteError: Some users may have been notified. Call the method again to notify the others.

        Cost: one transaction, 4 round trips, 3 without an actor, and another for each 1,000 users more. With `once` 5
        round trips, 4 without an actor, and another two for each 1,000 users more; index by_userId_and_once.
        """
        told = [id for id in dict.fromkeys(user_ids) if id != actor_id]
        fits = len(told) <= MAX_AT_ONCE
        if not fits and self._connection.transaction_is_open():
            raise InvalidInputError("user_ids", f"must be at most {MAX_AT_ONCE:,} inside a transaction")
        if not fits and once is None:
            raise InvalidInputError("once", f"is required to notify more than {MAX_AT_ONCE:,} users")
        wish = _Wish(type, actor_id, data, gather=None)
        if fits:
            return await self._connection.transaction(partial(self._tell_at_once, told, wish, once))
        return await self._tell_in_batches(told, wish, once)

    async def recent(self, user_id: UserId, *, limit: Limit = 20, after: Cursor | None = None) -> Page[Notification]:
        """Return a page of the user's notifications, newest first.

        A gathered notification is as new as the last act that it counts.

        Cost: 1 round trip; index by_userId_and_createdAt.
        """
        return await self._page({"userId": user_id}, "by_userId_and_createdAt", limit, after)

    async def unread(self, user_id: UserId, *, limit: Limit = 20, after: Cursor | None = None) -> Page[Notification]:
        """Return a page of the user's unread notifications, newest first.

        A gathered notification keeps the position of the first act that it counts, so paging does not miss it.

        Cost: 1 round trip; index by_userId_and_read.
        """
        return await self._page({"userId": user_id, "read": False}, "by_userId_and_read", limit, after)

    async def unread_count(self, user_id: UserId) -> int:
        """Count the user's unread notifications. A gathered notification counts as one.

        Cost: 1 round trip; covered by index by_userId_and_read, one key per unread notification.
        """
        return await self._collection.count_documents({"userId": user_id, "read": False}, hint="by_userId_and_read")

    async def mark_read(self, user_id: UserId, id: NotificationId) -> bool:
        """Mark a notification as read. Idempotent.

        Returns:
            `False` if it was already read, belongs to another user, or does not exist.

        Cost: 1 round trip; index `_id`.
        """
        mine = {"_id": id, "userId": user_id, "read": False}
        return (await self._collection.update_one(mine, {"$set": {"read": True}})).modified_count == 1

    async def mark_all_read(self, user_id: UserId) -> int:
        """Mark all of the user's notifications as read. Idempotent.

        Returns:
            The number of notifications that were unread.

        Cost: one transaction, 2 round trips; index by_userId_and_read.
        """
        unread = {"userId": user_id, "read": False}
        return await self._update_all(unread, {"$set": {"read": True}}, "by_userId_and_read")

    async def _tell(self, user_id: UserId, wishes: Sequence[_Wish]) -> Sequence[Notification | Exception | None]:
        """Count each of the wishes in a notification of the user. Runs in a transaction."""
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
        return await authors_of(self._of(User), {id for id in ids if id is not None})

    async def _template(self, user_ids: Sequence[UserId], wish: _Wish, once: str | None) -> dict[str, Any]:
        """Return the notification without its id and recipient. Checks that the users and the actor exist."""
        authors = {} if wish.actor_id is None else await self._authors({wish.actor_id})
        actor = _actor(wish, authors)
        if not user_ids:
            return {}
        await self._require_all(user_ids)
        row = Notice(user_ids[0], wish.type, actor, wish.data).begin(self._connection, self._now())
        return row.model_copy(update={"once": once}).to_wire()

    async def _tell_at_once(self, user_ids: Sequence[UserId], wish: _Wish, once: str | None) -> int:
        """Notify the users in the open transaction, and return how many were notified."""
        template, count = await self._template(user_ids, wish, once), 0
        for batch in _batches(user_ids):
            rows = await self._lacking(batch, template)
            count += len(rows)
            if rows:
                await self._collection.insert_many(rows)
        return count

    async def _tell_in_batches(self, user_ids: Sequence[UserId], wish: _Wish, once: str | None) -> int:
        """Notify the users in batches, and return how many were notified.

        Not in transactions: one that a killed process leaves open would block the next call until the server ends it.
        """
        template, count = await self._template(user_ids, wish, once), 0
        try:
            for batch in _batches(user_ids):
                count += await self._insert_new(await self._lacking(batch, template))
        except (DataLayerError, PyMongoError) as error:
            if isinstance(error, PyMongoError) and isinstance(translate(error), InvalidInputError):
                # The notifications differ only in their ids: if one is invalid, all are.
                raise
            raise IncompleteError from error
        return count

    async def _lacking(self, user_ids: Sequence[UserId], template: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return the notifications of those users who have not received the announcement yet."""
        before: set[UserId] = set()
        if "once" in template:
            told = {"userId": {"$in": user_ids}, "once": template["once"]}
            # A notification that is not durable yet may be lost, and its user would never be notified again.
            rows = self._of(Notification, durable=True)
            found = rows.find(told, {"userId": 1}, batch_size=AT_ONCE, hint="by_userId_and_once")
            before = {row["userId"] for row in await found.to_list()}
        return [{**template, "_id": new_object_id(), "userId": id} for id in user_ids if id not in before]

    async def _insert_new(self, rows: Sequence[dict[str, Any]]) -> int:
        """Insert the notifications that no concurrent call has inserted, and return how many these are."""
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
        """Check on the server that the users exist, so that in the usual case only a count is sent back."""
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
