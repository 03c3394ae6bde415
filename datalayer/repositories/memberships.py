"""What people pay for."""

from datalayer.documents.memberships import Membership
from datalayer.ids import MembershipId
from datalayer.repositories.base import Repository


class Memberships(Repository[Membership, MembershipId]):
    """Memberships by id."""

    document = Membership
