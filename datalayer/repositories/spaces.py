"""The spaces, and who has been there when."""

from datalayer.documents.spaces import Space, SpaceVisit
from datalayer.ids import SpaceId, SpaceVisitId
from datalayer.repositories.base import Repository, SoftDeletingRepository


class Spaces(SoftDeletingRepository[Space, SpaceId]):
    """Spaces by id."""

    document = Space


class SpaceVisits(Repository[SpaceVisit, SpaceVisitId]):
    """SpaceVisits by id."""

    document = SpaceVisit
