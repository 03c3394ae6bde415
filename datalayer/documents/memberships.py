"""What people pay for."""

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal, TypeAlias

from pydantic import Field

from datalayer.engine.document import Document, Record, new_id
from datalayer.engine.fields import ExternalId, Name, Timestamp
from datalayer.engine.indexes import Index, TableSettings
from datalayer.ids import MembershipId, UserId

MembershipStatus: TypeAlias = Literal["active", "trialing", "past_due", "canceled", "none"]

MAX_EVENTS_AT_ONCE = 100
"""How many events of one subscription are applied that happened at the same moment."""

MAX_SUBSCRIPTIONS = 20
"""How many of a user's subscriptions are remembered."""


class StripeSubscription(Record):
    """What the newest event of a subscription says.

    Attributes:
        subscription_id: Its id at Stripe; absent where no event has named it yet.
        began_at: The time of its oldest event.
        event_at: The time of its newest event.
        event_ids: The events of that time.
    """

    subscription_id: ExternalId | None = None
    began_at: Timestamp
    event_at: Timestamp
    event_ids: Annotated[list[ExternalId], Field(max_length=MAX_EVENTS_AT_ONCE)]
    status: MembershipStatus
    tier: Name | None = None
    current_period_end: Timestamp | None = None


class Membership(Document):
    """A user's tier, as Stripe has it.

    It follows the best of the user's subscriptions: `stripe_event_at` is the time of that one's newest event,
    `stripe_event_ids` are its events of that time. `stripe_subscriptions` are all that are known, also those that were
    replaced.
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
                why="the membership that follows a subscription, one for each",
            ),
            Index(
                "by_stripeSubscriptions",
                "stripeSubscriptions.subscriptionId",
                unique=True,
                where={"stripeSubscriptions.subscriptionId": {"$exists": True}},
                why="the membership that knows a subscription, one for each, also when it was replaced",
            ),
        )
