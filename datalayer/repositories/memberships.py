"""What people pay for."""

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
"""The tier of those who pay for none."""


class Memberships(Repository[Membership, MembershipId]):
    """The memberships, one for each user. Stripe decides what is in them.

    What makes one writes to the user, and so conflicts with the user's removal.
    """

    document = Membership

    async def ensure(self, user_id: UserId) -> Membership:
        """Return the user's membership; create a free one where there is none. Idempotent.

        One round trip, by_userId; 4 where it is created.

        Raises:
            NotFoundError: There is no such user.
        """
        membership = await self._one({"userId": user_id}, durable=True)
        if membership is not None:
            return membership

        async def work() -> Membership:
            await lock_user(self._of(User), user_id)
            return await ensure_free(self._connection, user_id)

        return await self._connection.transaction(work)

    async def for_user(self, user_id: UserId) -> Membership | None:
        """The user's membership. One round trip, by_userId."""
        return await self._one({"userId": user_id})

    async def by_stripe_customer(self, customer_id: ExternalId) -> Membership | None:
        """The membership of a customer of Stripe. One round trip, by_stripeCustomerId."""
        return await self._one({"stripeCustomerId": customer_id})

    async def by_stripe_subscription(self, subscription_id: ExternalId) -> Membership | None:
        """The membership that follows this subscription at Stripe. One round trip, by_stripeSubscriptionId."""
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
        """Apply what an event of Stripe says. Returns whether the membership has changed by it.

        Events may come twice, out of order, and at the same time. Each subscription is what its newest event says: an
        event that was applied before, or is older than the newest one of its subscription, changes nothing. Those of
        the same moment are applied in the order in which they come.

        A customer may have several subscriptions, such as the one before an upgrade and the one after it. The
        membership follows the best of them: `active` and `trialing` come before `past_due`, that before `canceled`, and
        that before `none`; of equals the one that began last. So the end of a subscription that was replaced does not
        end the membership, and the order in which the events arrive makes no difference.

        A transaction of 3 round trips, 2 where nothing changes, 4 where the user's membership is created. Served by
        by_userId, by_stripeCustomerId, or by_stripeSubscriptionId and by_stripeSubscriptions.

        Args:
            event_id: The event's id at Stripe.
            created: When it happened, in Unix milliseconds; Stripe's own number is in seconds.
            user_id: Whose membership it is; it is created where there is none.
            customer_id: Finds the membership where no user is given; with a user it is stored.
            subscription_id: The subscription that the event is about; without it, the one that the membership follows.
                Finds the membership where neither user nor customer is given.
            status: The subscription's status.
            tier: The new tier; without it the tier stays.
            current_period_end: Until when is paid; without it that time stays, as after a payment that failed.

        Raises:
            InvalidInputError: Nothing says whose membership it is; or 100 events of this subscription and moment were
                applied before.
            NotFoundError: There is no such user; or no membership of this customer or subscription, and no user given.
            AlreadyExistsError: The customer or the subscription belongs to another membership.
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
                    raise NotFoundError(f"There is no membership of {whose}, and no user was given.")
                await lock_user(self._of(User), user_id)
                await self._insert(_after(_free(self.document, user_id, self._now()), event, customer_id))
                return True
            after = _after(before, event, customer_id)
            if after is not before:
                # It may have been made a moment after the time was taken.
                after.updated_at = max(before.updated_at, self._now())
                await self._collection.update_one({"_id": before.id}, _difference(before, after))
            return _newest(after) != _newest(before)

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


async def lock_user(users: Collection, id: UserId) -> None:
    """Make sure that the user exists, by a write: so it conflicts with the user's removal. One round trip.

    Raises:
        NotFoundError: There is no such user.
    """
    if (await users.update_one({"_id": id}, LOCK)).matched_count == 0:
        raise not_found(User, id)


async def ensure_free(connection: Connection, user_id: UserId) -> Membership:
    """Return the user's membership; create a free one where there is none. One round trip, by_userId.

    In a transaction that has written to the user.
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
    """The filter of the membership that an event is about."""
    if user_id is not None:
        return {"userId": user_id}
    if customer_id is not None:
        return {"stripeCustomerId": customer_id}
    if subscription_id is not None:
        # Of a membership that was imported only the first is known.
        known = ("stripeSubscriptionId", "stripeSubscriptions.subscriptionId")
        return {"$or": [{field: subscription_id} for field in known]}
    raise InvalidInputError("user_id", "is needed, or else customer_id or subscription_id")


def _difference(before: Membership, after: Membership) -> dict[str, dict[str, object]]:
    """The update that makes one of the other."""
    old, new = before.to_wire(), after.to_wire()
    sets = {name: value for name, value in new.items() if old.get(name) != value}
    unsets: dict[str, object] = dict.fromkeys(old.keys() - new.keys(), "")
    return {operator: fields for operator, fields in (("$set", sets), ("$unset", unsets)) if fields}


_RANKS: Mapping[MembershipStatus, int] = {"none": 0, "canceled": 1, "past_due": 2, "trialing": 3, "active": 3}


def _rank(subscription: StripeSubscription) -> tuple[int, int, str]:
    """By which of several subscriptions the best one is found; the id makes it the same one every time."""
    return _RANKS[subscription.status], subscription.began_at, subscription.subscription_id or ""


def _after(membership: Membership, event: StripeSubscription, customer_id: ExternalId | None) -> Membership:
    """The membership after an event; itself where the event changes nothing.

    Raises:
        InvalidInputError: Too many events of this subscription happened at the same moment.
    """
    known = membership.stripe_subscriptions or _followed(membership)
    # An event that names no subscription is about the one that is followed. That one may have no name until now.
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
    """The subscription that the membership follows, where only the membership's own fields say so."""
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
    """What is known of a subscription after another of its events."""
    began_at = min(known.began_at, event.began_at)
    if event.event_at < known.event_at or event.event_ids[0] in known.event_ids:
        return known.model_copy(update={"began_at": began_at})
    ids = known.event_ids if known.event_at == event.event_at else []
    if len(ids) == MAX_EVENTS_AT_ONCE:
        raise InvalidInputError("created", f"is the time of {MAX_EVENTS_AT_ONCE} events that were applied already")
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
    """Which events made the membership what it is."""
    return membership.stripe_subscription_id, membership.stripe_event_at, membership.stripe_event_ids
