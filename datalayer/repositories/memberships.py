"""Paid memberships."""

from collections.abc import Mapping
from typing import Any

from pymongo import ReturnDocument

from datalayer.documents.memberships import (
    MAX_EVENTS_AT_ONCE,
    MAX_SUBSCRIPTIONS,
    Membership,
    MembershipStatus,
    StripeSubscription,
)
from datalayer.documents.users import User
from datalayer.engine.collection import LOCK
from datalayer.engine.connection import Collection, Connection
from datalayer.engine.fields import ExternalId, Name, Timestamp
from datalayer.engine.repository import Repository, not_found
from datalayer.errors import InvalidInputError, NotFoundError
from datalayer.ids import MembershipId, UserId

FREE = "free"
"""The tier of users who do not pay."""


class Memberships(Repository[Membership, MembershipId]):
    """The memberships, one per user, as decided by Stripe.

    Every method that creates a membership writes to the user, so it conflicts with a concurrent deletion of the user.
    """

    document = Membership

    async def ensure(self, user_id: UserId) -> Membership:
        """Return the user's membership; create a free one if there is none. Idempotent.

        Raises:
            NotFoundError: The user does not exist.

        Cost: 1 round trip, 4 if the membership is created; index by_userId.
        """
        membership = await self._one({"userId": user_id}, durable=True)
        if membership is not None:
            return membership

        async def work() -> Membership:
            await lock_user(self._of(User), user_id)
            return await ensure_free(self._connection, user_id)

        return await self._connection.transaction(work)

    async def for_user(self, user_id: UserId) -> Membership | None:
        """Return the user's membership, or `None`.

        Cost: 1 round trip; index by_userId.
        """
        return await self._one({"userId": user_id})

    async def by_stripe_customer(self, customer_id: ExternalId) -> Membership | None:
        """Return the membership of a Stripe customer, or `None`.

        Cost: 1 round trip; index by_stripeCustomerId.
        """
        return await self._one({"stripeCustomerId": customer_id})

    async def by_stripe_subscription(self, subscription_id: ExternalId) -> Membership | None:
        """Return the membership that follows this Stripe subscription, or `None`.

        Cost: 1 round trip; index by_stripeSubscriptionId.
        """
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
        """Apply a Stripe subscription event. Idempotent.

        Events may arrive twice, out of order, and concurrently. Each subscription has the state of its newest event: an
        event that was already applied, or is older than the newest one of its subscription, changes nothing. Events
        with equal times are applied in order of arrival.

        A customer may have several subscriptions, such as one from before an upgrade and one from after it. The
        membership follows the best of them: `active` and `trialing` rank above `past_due`, then `canceled`, then
        `none`; of equal ones the one that began last wins. So the end of a replaced subscription does not end the
        membership, and the order of arrival makes no difference.

        Args:
            event_id: The event's id at Stripe.
            created: The time of the event, in Unix milliseconds (Stripe's own value is in seconds).
            user_id: The owner of the membership, which is created if there is none.
            customer_id: The Stripe customer. Without `user_id` it finds the membership; with `user_id` it is stored.
            subscription_id: The subscription that the event is about, by default the one that the membership follows.
                Without `user_id` and `customer_id` it finds the membership.
            status: The subscription's status.
            tier: The new tier; by default it does not change.
            current_period_end: The end of the paid period, in Unix milliseconds; by default it does not change, as
                after a failed payment.

        Returns:
            `True` if the event changed the membership.

        Raises:
            InvalidInputError: None of `user_id`, `customer_id` and `subscription_id` is given, or 100 events of this
                subscription with this time were already applied.
            NotFoundError: The user does not exist; or no membership has this customer or subscription, and no `user_id`
                is given.
            AlreadyExistsError: The customer or subscription belongs to another membership.

        Cost: one transaction, 3 round trips, 2 if nothing changes, 4 if the membership is created; indexes by_userId,
        by_stripeCustomerId, or by_stripeSubscriptionId and by_stripeSubscriptions.
        """
        owner = _owner(user_id, customer_id, subscription_id)
        event = StripeSubscription(
            subscription_id=subscription_id,
            began_at=created,
            event_at=created,
            event_ids=[event_id],
            status=status,
            tier=tier,
            current_period_end=current_period_end,
        )

        async def work() -> bool:
            before = await self._one(owner)
            if before is None:
                if user_id is None:
                    whose = customer_id or subscription_id
                    raise NotFoundError(f"No membership has the Stripe id {whose}, and no user_id was given.")
                await lock_user(self._of(User), user_id)
                await self._insert(_after(_free(self.document, user_id, self._now()), event, customer_id))
                return True
            after = _after(before, event, customer_id)
            if after is not before:
                # The membership may have been written after the time was taken: `updatedAt` never decreases.
                after.updated_at = max(before.updated_at, self._now())
                await self._collection.update_one({"_id": before.id}, _difference(before, after))
            return _newest(after) != _newest(before)

        return await self._connection.transaction(work)

    async def has_access(self, user_id: UserId, required_tier: Name | None) -> bool:
        """Return whether the user may see content that requires this tier; always `True` if no tier is required.

        The membership must have exactly this tier and be paid for: its status is `active` or `trialing`, or it is
        `canceled` or `past_due` and the current period has not ended.

        Cost: 1 round trip, none if no tier is required; index by_userId.
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


async def lock_user(users: Collection, id: UserId) -> None:
    """Lock the user by a write, so the transaction conflicts with a deletion of the user. 1 round trip.

    Raises:
        NotFoundError: The user does not exist.
    """
    if (await users.update_one({"_id": id}, LOCK)).matched_count == 0:
        raise not_found(User, id)


async def ensure_free(connection: Connection, user_id: UserId) -> Membership:
    """Return the user's membership; create a free one if there is none. 1 round trip; index by_userId.

    Must run in a transaction that has written to the user.
    """
    document = connection.class_of(Membership)
    wire: dict[str, Any] | None = await connection.collection(Membership).find_one_and_update(
        {"userId": user_id},
        {"$setOnInsert": _free(document, user_id, connection.now()).to_wire()},
        upsert=True,
        return_document=ReturnDocument.AFTER,
    )
    return document.from_wire(wire or {})


def _free(document: type[Membership], user_id: UserId, now: int) -> Membership:
    return document(user_id=user_id, tier=FREE, status="none", created_at=now, updated_at=now)


def _owner(user_id: UserId | None, customer_id: str | None, subscription_id: str | None) -> Mapping[str, object]:
    """Return the filter of the membership that an event is about."""
    if user_id is not None:
        return {"userId": user_id}
    if customer_id is not None:
        return {"stripeCustomerId": customer_id}
    if subscription_id is not None:
        # An imported membership has only the first of these fields.
        known = ("stripeSubscriptionId", "stripeSubscriptions.subscriptionId")
        return {"$or": [{field: subscription_id} for field in known]}
    raise InvalidInputError("user_id", "is required unless customer_id or subscription_id is given")


def _difference(before: Membership, after: Membership) -> dict[str, dict[str, object]]:
    """Return the update that turns one membership into the other."""
    old, new = before.to_wire(), after.to_wire()
    sets = {name: value for name, value in new.items() if old.get(name) != value}
    unsets: dict[str, object] = dict.fromkeys(old.keys() - new.keys(), "")
    return {operator: fields for operator, fields in (("$set", sets), ("$unset", unsets)) if fields}


_RANKS: Mapping[MembershipStatus, int] = {"none": 0, "canceled": 1, "past_due": 2, "trialing": 3, "active": 3}


def _rank(subscription: StripeSubscription) -> tuple[int, int, str]:
    """Return the sort key of a subscription. The id makes the order deterministic."""
    return _RANKS[subscription.status], subscription.began_at, subscription.subscription_id or ""


def _after(membership: Membership, event: StripeSubscription, customer_id: ExternalId | None) -> Membership:
    """Return the membership after an event, or the same object if the event changes nothing.

    Raises:
        InvalidInputError: Too many events of this subscription have the same time.
    """
    known = membership.stripe_subscriptions or _followed(membership)
    # An event without a subscription id is about the followed subscription, which may itself have no id yet.
    names = {event.subscription_id, None}
    about = next((one for one in known if event.subscription_id is None or one.subscription_id in names), None)
    changed = event if about is None else _merged(about, event)
    if changed == about:
        return membership
    subscriptions = sorted([changed, *(one for one in known if one is not about)], key=_rank, reverse=True)
    best = subscriptions[0]
    update: dict[str, object] = {
        "tier": best.tier or membership.tier,
        "status": best.status,
        "current_period_end": best.current_period_end,
        "stripe_subscription_id": best.subscription_id,
        "stripe_event_at": best.event_at,
        "stripe_event_ids": best.event_ids,
        "stripe_subscriptions": subscriptions[:MAX_SUBSCRIPTIONS],
    }
    if customer_id is not None and event.event_ids[0] in changed.event_ids:
        update["stripe_customer_id"] = customer_id
    return membership.model_copy(update=update)


def _followed(membership: Membership) -> list[StripeSubscription]:
    """Return the subscription that the membership follows, if only the membership's own fields describe it."""
    if membership.stripe_event_at is None and membership.stripe_subscription_id is None:
        return []
    event_at = membership.stripe_event_at or 0
    return [
        StripeSubscription(
            subscription_id=membership.stripe_subscription_id,
            began_at=event_at,
            event_at=event_at,
            event_ids=membership.stripe_event_ids or [],
            status=membership.status,
            tier=membership.tier,
            current_period_end=membership.current_period_end,
        )
    ]


def _merged(known: StripeSubscription, event: StripeSubscription) -> StripeSubscription:
    """Return the state of a subscription after another of its events."""
    began_at = min(known.began_at, event.began_at)
    if event.event_at < known.event_at or event.event_ids[0] in known.event_ids:
        return known.model_copy(update={"began_at": began_at})
    ids = known.event_ids if known.event_at == event.event_at else []
    if len(ids) == MAX_EVENTS_AT_ONCE:
        raise InvalidInputError("created", f"is the time of {MAX_EVENTS_AT_ONCE} events that were already applied")
    end = known.current_period_end if event.current_period_end is None else event.current_period_end
    return StripeSubscription(
        subscription_id=event.subscription_id or known.subscription_id,
        began_at=began_at,
        event_at=event.event_at,
        event_ids=[*ids, *event.event_ids],
        status=event.status,
        tier=event.tier or known.tier,
        current_period_end=end,
    )


def _newest(membership: Membership) -> tuple[object, ...]:
    """Return the events that made the membership what it is."""
    return membership.stripe_subscription_id, membership.stripe_event_at, membership.stripe_event_ids
