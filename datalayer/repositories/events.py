"""Events, and who comes."""

from datalayer.documents.events import Event, Rsvp
from datalayer.ids import EventId, RsvpId
from datalayer.repositories.base import Repository, SoftDeletingRepository


class Events(SoftDeletingRepository[Event, EventId]):
    """Events by id."""

    document = Event


class Rsvps(Repository[Rsvp, RsvpId]):
    """Rsvps by id."""

    document = Rsvp
