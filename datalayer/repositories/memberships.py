"""What people pay for."""

from typing import Any

from pymongo import ReturnDocument

from datalayer.documents.memberships import Membership
from datalayer.ids import MembershipId, UserId
from datalayer.repositories.base import Repository
from datalayer.repositories.connection import Collection

FREE = "free"
"""The tier of those who pay for none."""


class Memberships(Repository[Membership, MembershipId]):
    """Memberships by id."""

    document = Membership


async def ensure_free(memberships: Collection, user_id: UserId, now: int) -> Membership:
    """The user's membership; a free one where there was none. One round trip, by_userId."""
    free = Membership(user_id=user_id, tier=FREE, status="none", created_at=now, updated_at=now)
    wire: dict[str, Any] | None = await memberships.find_one_and_update(
        {"userId": user_id}, {"$setOnInsert": free.to_wire()}, upsert=True, return_document=ReturnDocument.AFTER
    )
    return Membership.from_wire(wire or {})
