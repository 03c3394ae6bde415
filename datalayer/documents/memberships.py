"""What people pay for."""

from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from datalayer.engine.document import Document, new_id
from datalayer.engine.fields import ExternalId, Name, Timestamp
from datalayer.engine.indexes import Index, TableSettings
from datalayer.ids import MembershipId, UserId

MembershipStatus: TypeAlias = Literal["active", "trialing", "past_due", "canceled", "none"]

MAX_EVENTS_AT_ONCE = 100


class Membership(Document):
    """A user's tier, as Stripe has it.

    `stripe_event_at` is the time of the newest event that was applied, `stripe_event_ids` are those of that time.
    """

    id: MembershipId = new_id()
    user_id: UserId
    tier: Name
    stripe_customer_id: ExternalId | None = None
    stripe_subscription_id: ExternalId | None = None
    stripe_event_at: Timestamp | None = None
    stripe_event_ids: Annotated[list[ExternalId], Field(max_length=MAX_EVENTS_AT_ONCE)] | None = None
    status: MembershipStatus
    current_period_end: Timestamp | None = None
    created_at: Timestamp
    updated_at: Timestamp

    class Settings(TableSettings):
        """The collection."""

        name = "memberships"
        indexes = (
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
                why="one membership for each subscription, and the way to it",
            ),
        )
