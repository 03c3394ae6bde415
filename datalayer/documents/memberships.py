"""Paid memberships."""

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal, TypeAlias

from pydantic import Field

from datalayer.engine.document import Document, Record, new_id
from datalayer.engine.fields import ExternalId, Name, Timestamp
from datalayer.engine.indexes import Index, TableSettings
from datalayer.ids import MembershipId, UserId

MembershipStatus: TypeAlias = Literal["active", "trialing", "past_due", "canceled", "none"]

MAX_EVENTS_AT_ONCE = 100
"""The maximum number of events with the same time that are applied to one subscription."""

MAX_SUBSCRIPTIONS = 20
"""The maximum number of subscriptions that a membership remembers."""


class StripeSubscription(Record):
    """The state of a subscription after its newest event.

    Attributes:
        subscription_id: Its id at Stripe; absent if no event has named it yet.
        began_at: The time of its oldest event.
        event_at: The time of its newest event.
        event_ids: The events with that time.
    """

    subscription_id: ExternalId | None = None
    began_at: Timestamp
    event_at: Timestamp
    event_ids: Annotated[list[ExternalId], Field(max_length=MAX_EVENTS_AT_ONCE)]
    status: MembershipStatus
    tier: Name | None = None
    current_period_end: Timestamp | None = None


class Membership(Document):
    """A user's tier, as decided by Stripe.

    It follows the best of the user's subscriptions: `stripe_event_at` is the time of that subscription's newest event,
    `stripe_event_ids` are its events with that time. `stripe_subscriptions` are all known subscriptions, including
    replaced ones.
    """

    id: MembershipId = new_id()
    user_id: UserId
    tier: Name
    stripe_customer_id: ExternalId | None = None
    stripe_subscription_id: ExternalId | None = None
    stripe_event_at: Timestamp | None = None
    stripe_event_ids: Annotated[list[ExternalId], Field(max_length=MAX_EVENTS_AT_ONCE)] | None = None
    stripe_subscriptions: Annotated[list[StripeSubscription], Field(max_length=MAX_SUBSCRIPTIONS)] | None = None
    status: MembershipStatus
    current_period_end: Timestamp | None = None
    created_at: Timestamp
    updated_at: Timestamp

    class Settings(TableSettings):
        """The collection."""

        name = "memberships"
        written_by = "community.memberships: ensure, apply_stripe_event"
        indexes: ClassVar[Sequence[Index]] = (
            Index("by_userId", "userId", unique=True),
            Index(
                "by_stripeCustomerId",
                "stripeCustomerId",
                unique=True,
                where={"stripeCustomerId": {"$exists": True}},
            ),
            Index(
                "by_stripeSubscriptionId",
                "stripeSubscriptionId",
                unique=True,
                where={"stripeSubscriptionId": {"$exists": True}},
                why="the membership that follows a subscription, at most one",
            ),
            Index(
                "by_stripeSubscriptions",
                "stripeSubscriptions.subscriptionId",
                unique=True,
                where={"stripeSubscriptions.subscriptionId": {"$exists": True}},
                why="the membership that remembers a subscription, at most one, also after it was replaced",
            ),
        )
