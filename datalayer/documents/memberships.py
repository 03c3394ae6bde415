"""What people pay for."""

from typing import Literal, TypeAlias

from datalayer.documents.base import Document, new_id
from datalayer.documents.fields import ExternalId, Name, Timestamp
from datalayer.documents.indexes import Index, TableSettings
from datalayer.ids import MembershipId, UserId

MembershipStatus: TypeAlias = Literal["active", "trialing", "past_due", "canceled", "none"]


class Membership(Document):
    """A user's tier, as Stripe has it."""

    id: MembershipId = new_id()
    user_id: UserId
    tier: Name
    stripe_customer_id: ExternalId | None = None
    stripe_subscription_id: ExternalId | None = None
    stripe_event_at: Timestamp | None = None
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
