"""What people pay for."""

from collections.abc import Mapping
from typing import Any

from pymongo import ReturnDocument

from datalayer.documents.memberships import MAX_EVENTS_AT_ONCE, Membership, MembershipStatus
from datalayer.documents.users import User
from datalayer.engine.connection import Collection
from datalayer.engine.fields import ExternalId, Name, Timestamp
from datalayer.engine.repository import Repository
from datalayer.errors import InvalidInputError, NotFoundError
from datalayer.ids import MembershipId, UserId

FREE = "free"
"""The tier of those who pay for none."""


class Memberships(Repository[Membership, MembershipId]):
    """The memberships, one for each user. Stripe decides what is in them."""

    document = Membership

    async def ensure(self, user_id: UserId) -> Membership:
        """The user's membership, a free one where there was none; safe when called twice at once.

        One round trip, by_userId; 3 where it is made.

        Raises:
            NotFoundError: There is no such user.
        """
        membership = await self._one({"userId": user_id})
        if membership is not None:
            return membership
        await self._require(User, user_id)
        return await ensure_free(self._collection, user_id, self._now())

    async def for_user(self, user_id: UserId) -> Membership | None:
        """The user's membership. One round trip, by_userId."""
        return await self._one({"userId": user_id})

    async def by_stripe_customer(self, customer_id: ExternalId) -> Membership | None:
        """The membership of a customer of Stripe. One round trip, by_stripeCustomerId."""
        return await self._one({"stripeCustomerId": customer_id})

    async def by_stripe_subscription(self, subscription_id: ExternalId) -> Membership | None:
        """The membership of a subscription at Stripe. One round trip, by_stripeSubscriptionId."""
        return await self._one({"stripeSubscriptionId": subscription_id})

    async def apply_stripe_event(
        self,
        *,
        event_id: ExternalId,
        created: Timestamp,
        user_id: UserId | None = None,
        customer_id: ExternalId | None = None,
        subscription_id: ExternalId | None = None,
        status: MembershipStatus,
        tier: Name | None = None,
        current_period_end: Timestamp | None = None,
    ) -> bool:
        """Take over what an event of Stripe says; whether it was applied.

        Events may come twice, out of order, and at once: each is applied once, and one that is older than the newest
        that was applied changes nothing. Those of the same moment are applied in the order in which they come. One
        round trip, 2 where nothing changes, 6 where the user's membership is made. Served by by_userId,
        by_stripeCustomerId or by_stripeSubscriptionId.

        Args:
            event_id: The event's id at Stripe.
            created: When it happened, in Unix milliseconds; Stripe's own number is in seconds.
            user_id: Whose membership it is; it is made where there is none.
            customer_id: Finds the membership where no user is given; with a user it is stored.
            subscription_id: Finds the membership where neither is given; else it is stored.
            status: The subscription's status.
            tier: The new tier; without it the tier stays.
            current_period_end: Until when is paid; without it that time stays, as after a payment that failed.

        Raises:
            InvalidInputError: Nothing says whose membership it is.
            NotFoundError: There is no such user; or no membership of this customer or subscription, and no user given.
            AlreadyExistsError: The customer or the subscription belongs to another membership.
        """
        owner, now = _owner(user_id, customer_id, subscription_id), self._now()
        changes = self._changes(
            status=status,
            stripe_event_at=created,
            updated_at=now,
            **_given(
                tier=tier,
                current_period_end=current_period_end,
                stripe_customer_id=customer_id,
                stripe_subscription_id=subscription_id,
            ),
        )
        if await self._apply(owner, event_id, created, changes):
            return True
        if await self._collection.find_one(owner, {"_id": 1}) is not None:
            return False
        if user_id is None:
            raise NotFoundError(f"There is no membership of {customer_id or subscription_id}, and no user was given.")

        async def work() -> bool:
            await self._require(User, user_id)
            await ensure_free(self._collection, user_id, now)
            return await self._apply(owner, event_id, created, changes)

        return await self._connection.transaction(work)

    async def has_access(self, user_id: UserId, required_tier: Name | None) -> bool:
        """Whether the user may see what needs this tier. One round trip, by_userId; none where no tier is needed.

        The tier has to be exactly this one, and paid for: active or in its trial; or canceled or past due, but with
        the end of the period still ahead.
        """
        if required_tier is None:
            return True
        membership = await self.for_user(user_id)
        if membership is None or membership.tier != required_tier:
            return False
        if membership.status in ("active", "trialing"):
            return True
        end = membership.current_period_end
        return membership.status in ("canceled", "past_due") and end is not None and end > self._now()

    async def _apply(
        self, owner: Mapping[str, object], event_id: str, created: int, changes: Mapping[str, Mapping[str, object]]
    ) -> bool:
        """Apply the event if it is new: one conditional update."""
        filter = {
            **owner,
            "stripeEventIds": {"$ne": event_id},
            "$or": [{"stripeEventAt": None}, {"stripeEventAt": {"$lte": created}}],
        }
        none: list[str] = []
        known = {"$cond": [{"$eq": ["$stripeEventAt", created]}, {"$ifNull": ["$stripeEventIds", none]}, none]}
        ids: dict[str, Any] = {"$slice": [{"$concatArrays": [known, [{"$literal": event_id}]]}, -MAX_EVENTS_AT_ONCE]}
        # A string from outside may begin with a dollar, which is a field in a pipeline.
        sets: dict[str, Any] = {name: {"$literal": value} for name, value in changes["$set"].items()}
        # The membership may have been made a moment after the time was taken.
        sets["updatedAt"] = {"$max": ["$updatedAt", changes["$set"]["updatedAt"]]}
        update = [{"$set": {**sets, "stripeEventIds": ids}}]
        return (await self._collection.update_one(filter, update)).matched_count > 0


async def ensure_free(memberships: Collection, user_id: UserId, now: int) -> Membership:
    """The user's membership; a free one where there was none. One round trip, by_userId."""
    free = Membership(user_id=user_id, tier=FREE, status="none", created_at=now, updated_at=now)
    wire: dict[str, Any] | None = await memberships.find_one_and_update(
        {"userId": user_id}, {"$setOnInsert": free.to_wire()}, upsert=True, return_document=ReturnDocument.AFTER
    )
    return Membership.from_wire(wire or {})


def _owner(user_id: UserId | None, customer_id: str | None, subscription_id: str | None) -> dict[str, object]:
    """The filter of the membership that an event is about."""
    owners = _given(userId=user_id, stripeCustomerId=customer_id, stripeSubscriptionId=subscription_id)
    if not owners:
        raise InvalidInputError("user_id", "is needed, or else customer_id or subscription_id")
    return dict([next(iter(owners.items()))])


def _given(**values: object) -> dict[str, object]:
    return {name: value for name, value in values.items() if value is not None}
