"""The recipients of notifications, and notifications that gather several acts."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from pymongo import UpdateOne

from datalayer.documents.likes import Like, LikeTarget
from datalayer.documents.notifications import Notification
from datalayer.documents.users import User
from datalayer.engine.collection import insert_all
from datalayer.engine.connection import Connection
from datalayer.engine.fields import Json
from datalayer.engine.repository import AT_ONCE
from datalayer.ids import CommentId, NotificationId, PostId, UserId
from datalayer.repositories.shared.authors import COPIED, Author

_Key: TypeAlias = tuple[UserId, str, str | None]


@dataclass(frozen=True, slots=True)
class Actor:
    """The user who acted, with the name and avatar that the notification copies."""

    id: UserId
    author: Author


@dataclass(frozen=True, slots=True)
class Notice:
    """A notification to send to one user.

    Attributes:
        user_id: The recipient.
        type: The notification's type.
        actor: The user who acted, if any.
        data: Data of the application.
        gather: While the recipient has an unread notification with this type and key, the notice is counted in it.
    """

    user_id: UserId
    type: str
    actor: Actor | None = None
    data: Json = None
    gather: str | None = None

    @property
    def key(self) -> _Key:
        """The key that all notices counted in one notification share."""
        return self.user_id, self.type, self.gather

    def begin(self, connection: Connection, now: int) -> Notification:
        """Return a new notification."""
        row = connection.class_of(Notification)(
            user_id=self.user_id,
            type=self.type,
            data=self.data,
            read=False,
            created_at=now,
            gather_key=self.gather,
            gather_count=None if self.gather is None else 1,
        )
        return row.model_copy(update=_copies(self.actor))

    def count_in(self, row: Notification, now: int) -> Notification:
        """Return the existing notification with this notice counted in it."""
        return row.model_copy(
            update={
                **_copies(self.actor),
                "data": row.data if self.data is None else self.data,
                "created_at": max(row.created_at, now),
                "gather_count": (row.gather_count or 0) + 1,
            }
        )


async def tell(
    connection: Connection, acts: Sequence[Sequence[Notice]], *, known: Collection[UserId] = ()
) -> list[dict[UserId, Notification]]:
    """Send the notifications of several acts, in the open transaction.

    An act notifies a user once: of several notices to one user the first counts. It notifies neither the actor nor
    users who do not exist.

    At most 4 round trips for any number of acts, 2 if nothing is gathered, one less if all recipients are known. Index
    by_userId_and_type_and_gatherKey.

    Args:
        connection: The connection.
        acts: The notices of each act, most important first.
        known: Recipients that are known to exist.

    Returns:
        For each act, the notified users with their notifications, as they are right after the act.
    """
    told = [_one_each(act) for act in acts]
    notices = [notice for act in told for notice in act.values()]
    unread = await _unread(connection, notices)
    before = {row.id: row for row in unread.values()}
    missing = await _missing(connection, {notice.user_id for notice in notices if notice.key not in unread} - {*known})
    after: dict[NotificationId, Notification] = {}
    now = connection.now()

    def apply(notice: Notice) -> Notification:
        row = unread.get(notice.key)
        row = notice.begin(connection, now) if row is None else notice.count_in(row, now)
        if notice.gather is not None:
            unread[notice.key] = row
        after[row.id] = row
        return row

    results = [{id: apply(notice) for id, notice in act.items() if id not in missing} for act in told]
    await _write(connection, before, after)
    return results


async def take_back_likes(
    connection: Connection,
    target_type: LikeTarget,
    target_id: PostId | CommentId,
    gone: Mapping[UserId, NotificationId],
) -> None:
    """Subtract likes from the unread notification that counts them. Runs in the open transaction.

    2 round trips, 3 if the notification shows one of the users: then the newest like that it still counts provides the
    actor. Index by_target finds it, newest first, skipping likes without a notification. If every like notifies, it is
    among the first keys, and this saves an index on `notificationId` with a key for each like.

    Args:
        connection: The connection, on which the likes are already deleted.
        target_type: `post` or `comment`.
        target_id: The post or comment.
        gone: The users who no longer like it, each with the `notification_id` of the like.
    """
    if not gone:
        return
    notifications = connection.collection(Notification)
    left = Counter(gone.values())
    unread = {"_id": {"$in": [*left]}, "read": False}
    # At most one, because a target has one unread notification.
    for row in connection.class_of(Notification).from_wires(
        await notifications.find(unread, batch_size=AT_ONCE).to_list()
    ):
        this, count = {"_id": row.id, "userId": row.user_id}, (row.gather_count or 0) - left[row.id]
        if count <= 0:
            await notifications.delete_one(this)
        elif row.actor_id is None or gone.get(row.actor_id) != row.id:
            await notifications.update_one(this, {"$set": {"gatherCount": count}})
        else:
            actor = await _newest_liker(connection, target_type, target_id, row.id)
            counted = row.model_copy(update={"gather_count": count, **_copies(actor)})
            await notifications.update_one(this, _replacing(counted, ("gatherCount", *_ACTOR)))


async def _newest_liker(
    connection: Connection, target_type: LikeTarget, target_id: PostId | CommentId, id: NotificationId
) -> Actor | None:
    """Return the user of the newest like that the notification counts."""
    lookup = {
        "from": "users",
        "localField": "userId",
        "foreignField": "_id",
        "pipeline": [{"$project": COPIED}],
        "as": "user",
    }
    counted = {"targetType": target_type, "targetId": target_id, "notificationId": id}
    newest = [{"$match": counted}, {"$sort": {"_id": -1}}, {"$limit": 1}, {"$project": {"userId": 1}}]
    cursor = await connection.collection(Like).aggregate([*newest, {"$lookup": lookup}], hint="by_target")
    for like in await cursor.to_list():
        for user in like["user"]:
            return Actor(user["_id"], Author.of(user))
    return None


def _one_each(act: Sequence[Notice]) -> dict[UserId, Notice]:
    told: dict[UserId, Notice] = {}
    for notice in act:
        if notice.actor is None or notice.actor.id != notice.user_id:
            told.setdefault(notice.user_id, notice)
    return told


async def _unread(connection: Connection, notices: Sequence[Notice]) -> dict[_Key, Notification]:
    """Return the unread notifications that count notices like these."""
    gathered = [notice for notice in notices if notice.gather is not None]
    if not gathered:
        return {}
    filter = {
        "userId": {"$in": [*{notice.user_id for notice in gathered}]},
        "type": {"$in": [*{notice.type for notice in gathered}]},
        "gatherKey": {"$in": [*{notice.gather for notice in gathered}]},
        "read": False,
    }
    found = connection.collection(Notification).find(
        filter, batch_size=AT_ONCE, hint="by_userId_and_type_and_gatherKey"
    )
    rows = connection.class_of(Notification).from_wires(await found.to_list())
    return {(row.user_id, row.type, row.gather_key): row for row in rows}


async def _missing(connection: Connection, ids: Collection[UserId]) -> set[UserId]:
    if not ids:
        return set()
    found = connection.collection(User).find({"_id": {"$in": [*ids]}}, {"_id": 1}, batch_size=AT_ONCE)
    return {*ids} - {user["_id"] for user in await found.to_list()}


async def _write(
    connection: Connection, before: Mapping[NotificationId, Notification], after: Mapping[NotificationId, Notification]
) -> None:
    notifications = connection.collection(Notification)
    new = [row.to_wire() for id, row in after.items() if id not in before]
    changed = [
        UpdateOne({"_id": id, "userId": row.user_id}, _replacing(row, _COUNTED))
        for id, row in after.items()
        if id in before
    ]
    if new:
        await insert_all(notifications, new)
    if changed:
        await notifications.bulk_write(changed)


_ACTOR = ("actorId", "actorName", "actorAvatar")
_COUNTED = (*_ACTOR, "data", "createdAt", "gatherCount")
"""The fields that change when a notification counts another notice."""


def _replacing(row: Notification, names: Sequence[str]) -> dict[str, dict[str, object]]:
    """Return an update that sets these fields as the notification has them, and removes those it does not have."""
    wire = row.to_wire()
    sets = {name: wire[name] for name in names if name in wire}
    unsets: dict[str, object] = {name: "" for name in names if name not in wire}
    return {operator: fields for operator, fields in (("$set", sets), ("$unset", unsets)) if fields}


def _copies(actor: Actor | None) -> dict[str, object]:
    if actor is None:
        return {"actor_id": None, "actor_name": None, "actor_avatar": None}
    return {"actor_id": actor.id, "actor_name": actor.author.name, "actor_avatar": actor.author.avatar}
