"""The users of the community."""

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
"""The notification preferences of a user who has not chosen any."""


@with_config(extra="forbid", strict=True)
class PrefChanges(TypedDict, total=False):
    """The arguments of `update_notification_prefs`."""

    email_comments: bool
    email_replies: bool
    email_followers: bool
    email_events: bool
    email_courses: bool
    email_dms: bool
    digest_frequency: DigestFrequency


@dataclass(frozen=True, slots=True)
class Ensured:
    """The result of `ensure`.

    Attributes:
        user: The user of the account.
        newly: `True` if this call created the user.
    """

    user: User
    newly: bool


class Users(Repository[User, UserId]):
    """The users of the community."""

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
        """Create a user without points.

        Raises:
            AlreadyExistsError: A user with this `auth_user_id` already exists.

        Cost: 1 round trip.
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
        """Return the user with this `auth_user_id`; create the user and a free membership if missing.

        Idempotent, also when called concurrently. An existing user keeps their name.

        Cost: 2 round trips if both exist, 5 if one is created; indexes by_authUserId and by_userId.
        """
        user = await self._one({"authUserId": auth_user_id}, durable=True)
        memberships = self._of(Membership, durable=True)
        if user is not None and await memberships.find_one({"userId": user.id}, {"_id": 1}) is not None:
            return Ensured(user, newly=False)

        async def work() -> Ensured:
            # A write, so that it conflicts with a concurrent deletion of the user.
            wire = await self._collection.find_one_and_update(
                {"authUserId": auth_user_id}, LOCK, return_document=ReturnDocument.AFTER
            )
            user = self.document.from_wire(wire) if wire else await self.create(name=name, auth_user_id=auth_user_id)
            await ensure_free(self._connection, user.id)
            return Ensured(user, newly=wire is None)

        return await self._connection.transaction(work)

    async def by_auth_user_id(self, auth_user_id: ExternalId) -> User | None:
        """Return the user with this `auth_user_id`, or `None`.

        Cost: 1 round trip; index by_authUserId.
        """
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
        """Change the given fields of the profile.

        A new name or avatar is also copied to the user's posts, comments and messages, in one transaction that writes
        each copy once: readers see either the old or the new profile everywhere. If a collection has more than 500
        copies, or others keep writing to them (posts that are being liked), the profile is changed first and the copies
        follow in batches. Readers may then see both versions for a while, and the user can keep writing.

        Raises:
            NotFoundError: The user does not exist.
            IncompleteError: Some batches failed. Call the method again to finish.

        Cost: 1 round trip; with a new name or avatar 8: 3 to count the copies, and a transaction of 5; indexes
        by_authorId and by_senderId.
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
        """Change the given notification preferences.

        Preferences that were never set have their defaults: all emails and a daily digest.

        Raises:
            NotFoundError: The user does not exist.

        Cost: 1 round trip; index `_id`.
        """
        if not changes:
            return self._found(await self._one({"_id": id}, durable=True), id)
        chosen = DEFAULT_PREFS.model_copy(update=dict(changes)).model_dump(by_alias=True, include=set(changes))
        defaults = DEFAULT_PREFS.model_dump(by_alias=True)
        merged = {"$mergeObjects": [defaults, "$notificationPrefs", chosen]}
        return await self._update({"_id": id}, [{"$set": {"notificationPrefs": merged, "updatedAt": self._now()}}])

    async def set_role(self, id: UserId, role: Role, *, notify: bool = False) -> User:
        """Set the user's role. Idempotent.

        Args:
            id: The user.
            role: The new role.
            notify: Notify the user (`role`).

        Raises:
            LastAdminError: The community would have no admin left.
            NotFoundError: The user does not exist.

        Cost: one transaction, 3 round trips, 4 if the user was an admin (index by_role). With `notify` one more, at
        most 5 round trips.
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
        """Delete the user, the membership and the points entries, permanently.

        What the user wrote, and everything else that refers to the user, is kept: posts, likes, RSVPs, enrollments,
        follows. If there are too many points entries for one transaction, the user is deleted first and the entries
        follow in batches.

        Raises:
            LastAdminError: The community would have no admin left.
            NotFoundError: The user does not exist.
            IncompleteError: Some batches failed. Call the method again to finish.

        Cost: one transaction, 5 round trips, 6 for an admin; indexes by_userId and by_role.
        """

        async def delete() -> bool:
            user = await self._one({"_id": id})
            if user is None:
                return False
            if user.role == "admin":
                await self._keep_an_admin(id)
            await self._collection.delete_one({"_id": id})
            # A remaining membership would keep its Stripe customer from belonging to any other user.
            await self._of(Membership).delete_one({"userId": id}, hint="by_userId")
            return True

        # Remaining entries would still take a place in the query of the week's and month's leaderboards.
        await self._delete_with(id, delete, [Children(PointsEntry, "userId", "by_userId")])

    async def by_role(self, role: Role, *, limit: Limit = 20, after: Cursor | None = None) -> Page[User]:
        """Return a page of the users with this role, newest first.

        Cost: 1 round trip; index by_role.
        """
        return await self._page({"role": role}, "by_role", limit, after)

    async def directory(
        self, sort: Literal["points", "newest"] = "points", *, limit: Limit = 20, after: Cursor | None = None
    ) -> Page[User]:
        """Return a page of all users, those with the most points or the newest first.

        Cost: 1 round trip; index by_points or by_createdAt.
        """
        return await self._page({}, "by_points" if sort == "points" else "by_createdAt", limit, after)

    async def _keep_an_admin(self, id: ObjectId) -> None:
        """Make sure that another admin exists, by a write, so that two admins cannot demote each other concurrently."""
        another = await self._collection.find_one_and_update(
            {"role": "admin", "_id": {"$ne": id}}, LOCK, {"_id": 1}, hint="by_role"
        )
        if another is None:
            raise LastAdminError
