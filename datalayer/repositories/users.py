"""The people of the community."""

from dataclasses import dataclass
from functools import partial
from typing import Annotated, Literal, Unpack

from bson import ObjectId
from pydantic import with_config
from pymongo import ReturnDocument
from typing_extensions import TypedDict

from datalayer.documents.memberships import Membership
from datalayer.documents.points import PointsEntry
from datalayer.documents.users import DigestFrequency, NotificationPrefs, ProfileVisibility, Role, User
from datalayer.engine.batches import at_once_or_in_batches
from datalayer.engine.boundary import UNSET, Cursor, Limit, Unset
from datalayer.engine.collection import LOCK
from datalayer.engine.fields import ExternalId, File, Name, Text
from datalayer.engine.pages import Page
from datalayer.engine.repository import Children, Repository
from datalayer.errors import LastAdminError
from datalayer.ids import UserId
from datalayer.repositories.memberships import ensure_free
from datalayer.repositories.shared.authors import COPIES_AT_ONCE, Author, copy_batches, has_many_copies, update_copies
from datalayer.repositories.shared.consequences import Act, Wanted, bring_about
from datalayer.repositories.shared.telling import Notice

DEFAULT_PREFS = NotificationPrefs(
    email_comments=True,
    email_replies=True,
    email_followers=True,
    email_events=True,
    email_courses=True,
    email_dms=True,
    digest_frequency="daily",
)
"""What a user who never chose wants."""


@with_config(extra="forbid", strict=True)
class PrefChanges(TypedDict, total=False):
    """What can be given to `update_notification_prefs`."""

    email_comments: bool
    email_replies: bool
    email_followers: bool
    email_events: bool
    email_courses: bool
    email_dms: bool
    digest_frequency: DigestFrequency


@dataclass(frozen=True, slots=True)
class Ensured:
    """What `ensure` returns.

    Attributes:
        user: The user of the account.
        newly: Whether the user was created by this call.
    """

    user: User
    newly: bool


class Users(Repository[User, UserId]):
    """The people."""

    document = User

    async def create(
        self,
        *,
        name: Name | None = None,
        auth_user_id: ExternalId | None = None,
        bio: Annotated[str, Text(0, 500)] | None = None,
        visibility: ProfileVisibility = "public",
        role: Role = "member",
        avatar_storage_id: File | None = None,
    ) -> User:
        """Make a user, without points. One round trip.

        Raises:
            AlreadyExistsError: There is a user of this account of the auth service.
        """
        now = self._now()
        return await self._insert(
            self.document(
                name=name,
                auth_user_id=auth_user_id,
                bio=bio,
                avatar_storage_id=avatar_storage_id,
                visibility=visibility,
                role=role,
                points=0,
                level=1,
                created_at=now,
                updated_at=now,
            )
        )

    async def ensure(self, auth_user_id: ExternalId, *, name: Name | None = None) -> Ensured:
        """Return the user of this account of the auth service; create the user, and a free membership, if missing.

        Idempotent, also when called twice at the same time. A user that exists keeps its name. By by_authUserId and
        by_userId: 2 round trips where both exist, 5 where one is created.
        """
        user = await self._one({"authUserId": auth_user_id}, durable=True)
        memberships = self._of(Membership, durable=True)
        if user is not None and await memberships.find_one({"userId": user.id}, {"_id": 1}) is not None:
            return Ensured(user, newly=False)

        async def work() -> Ensured:
            # A write, so that it conflicts with the user's removal.
            wire = await self._collection.find_one_and_update(
                {"authUserId": auth_user_id}, LOCK, return_document=ReturnDocument.AFTER
            )
            user = self.document.from_wire(wire) if wire else await self.create(name=name, auth_user_id=auth_user_id)
            await ensure_free(self._connection, user.id)
            return Ensured(user, newly=wire is None)

        return await self._connection.transaction(work)

    async def by_auth_user_id(self, auth_user_id: ExternalId) -> User | None:
        """The user of this account of the auth service. One round trip, by_authUserId."""
        return await self._one({"authUserId": auth_user_id})

    async def update_profile(
        self,
        id: UserId,
        *,
        name: Name | Unset | None = UNSET,
        bio: Annotated[str, Text(0, 500)] | Unset | None = UNSET,
        visibility: ProfileVisibility | Unset = UNSET,
        avatar_storage_id: File | Unset | None = UNSET,
    ) -> User:
        """Change the profile; a new name or avatar goes to the copies on posts, comments and messages too.

        One round trip without them, else 8: 3 to see how many copies there are, and a transaction of 5 that touches
        each copy once, so that readers see all of it or nothing. Where a table has more than 500 copies, or others
        write to them all the time (posts that are being liked), the profile is changed first and the copies follow in
        batches, which readers can tell apart. Others write as the same user meanwhile. The copies are found by
        by_authorId and by_senderId.

        Raises:
            NotFoundError: There is no such user.
            IncompleteError: Some of the batches did not succeed: calling it again completes them.
        """
        changes = self._changes(
            name=name, bio=bio, visibility=visibility, avatar_storage_id=avatar_storage_id, updated_at=self._now()
        )
        if name is UNSET and avatar_storage_id is UNSET:
            return await self._update({"_id": id}, changes)

        async def change() -> User:
            return await self._update({"_id": id}, changes)

        async def change_all() -> User:
            user = await change()
            await update_copies(self._connection, id, Author.of(user.to_wire()))
            return user

        copies, are_many = copy_batches(self._connection, id), partial(has_many_copies, self._connection, id)
        return await at_once_or_in_batches(
            self._connection, change_all, change, copies, is_large=are_many, size=COPIES_AT_ONCE
        )

    async def update_notification_prefs(self, id: UserId, **changes: Unpack[PrefChanges]) -> User:
        """Change some of the user's choices; those never made are all mails and a daily digest. One round trip.

        Raises:
            NotFoundError: There is no such user.
        """
        if not changes:
            return self._found(await self._one({"_id": id}, durable=True), id)
        chosen = DEFAULT_PREFS.model_copy(update=dict(changes)).model_dump(by_alias=True, include=set(changes))
        defaults = DEFAULT_PREFS.model_dump(by_alias=True)
        merged = {"$mergeObjects": [defaults, "$notificationPrefs", chosen]}
        return await self._update({"_id": id}, [{"$set": {"notificationPrefs": merged, "updatedAt": self._now()}}])

    async def set_role(self, id: UserId, role: Role, *, notify: bool = False) -> User:
        """Give the user a role. A transaction of 3 round trips; of 4 where that was an admin, by_role.

        With `notify` it has one more: at most 5 round trips.

        Args:
            id: Who.
            role: The role.
            notify: Tell the user (`role`).

        Raises:
            LastAdminError: There would be no admin left.
            NotFoundError: There is no such user.
        """

        async def work() -> User:
            before = self._found(await self._one({"_id": id}), id)
            if before.role == role:
                return before
            if before.role == "admin":
                await self._keep_an_admin(id)
            user = await self._update({"_id": id}, self._changes(role=role, updated_at=self._now()))
            told = Act(Wanted(notify=notify), notices=[Notice(id, "role", data={"role": role})])
            await bring_about(self._connection, [told], known={id})
            return user

        return await self._connection.transaction(work)

    async def delete(self, id: UserId) -> None:
        """Remove the user for good, with the membership and the points entries.

        What the user wrote, and what else points at the user, stays: likes, answers to events, enrollments, follows. A
        transaction of 5 round trips, of 6 where it is an admin; by_userId and by_role. Entries that are too many for
        one transaction are removed in batches, behind the user.

        Raises:
            LastAdminError: There would be no admin left.
            NotFoundError: There is no such user.
            IncompleteError: Some of the batches did not succeed: calling it again completes them.
        """

        async def delete() -> bool:
            user = await self._one({"_id": id})
            if user is None:
                return False
            if user.role == "admin":
                await self._keep_an_admin(id)
            await self._collection.delete_one({"_id": id})
            # It would keep its Stripe customer from belonging to anybody else.
            await self._of(Membership).delete_one({"userId": id}, hint="by_userId")
            return True

        # They would keep a place on the leaderboards of a week and a month.
        await self._delete_with(id, delete, [Children(PointsEntry, "userId", "by_userId")])

    async def by_role(self, role: Role, *, limit: Limit = 20, after: Cursor | None = None) -> Page[User]:
        """The users with a role, newest first. One round trip, by_role."""
        return await self._page({"role": role}, "by_role", limit, after)

    async def directory(
        self, sort: Literal["points", "newest"] = "points", *, limit: Limit = 20, after: Cursor | None = None
    ) -> Page[User]:
        """All users, with the most points or the newest first. One round trip, by_points or by_createdAt."""
        return await self._page({}, "by_points" if sort == "points" else "by_createdAt", limit, after)

    async def _keep_an_admin(self, id: ObjectId) -> None:
        """Make sure of another admin, by a write: so two admins cannot depose each other at once."""
        another = await self._collection.find_one_and_update(
            {"role": "admin", "_id": {"$ne": id}}, LOCK, {"_id": 1}, hint="by_role"
        )
        if another is None:
            raise LastAdminError
