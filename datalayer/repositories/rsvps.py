"""RSVPs to events."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from operator import itemgetter
from typing import Any, Literal, TypeAlias, cast

from pymongo import DeleteOne, InsertOne, UpdateOne

from datalayer.documents.events import Event, Rsvp, RsvpStatus
from datalayer.documents.users import User
from datalayer.engine.boundary import Cursor, Limit
from datalayer.engine.connection import Connection
from datalayer.engine.group_commit import GroupCommit
from datalayer.engine.pages import Page
from datalayer.engine.repository import ALIVE, Repository, lookup_alive, not_found
from datalayer.errors import EventFullError, EventOverError
from datalayer.ids import EventId, RsvpId, UserId
from datalayer.repositories.shared.awards import Cause
from datalayer.repositories.shared.consequences import NOTHING, Act, Wanted, bring_about
from datalayer.repositories.shared.recurrence import Schedule

_Wish: TypeAlias = RsvpStatus | Literal["withdraw"]
_Request: TypeAlias = tuple[UserId, _Wish, Wanted]


@dataclass(frozen=True, slots=True)
class RsvpResult:
    """The result of `set`.

    Attributes:
        rsvp: The user's RSVP.
        newly: `True` if this call created or changed it.
    """

    rsvp: Rsvp
    newly: bool


_Answer: TypeAlias = RsvpResult | Exception | None


@dataclass(frozen=True, slots=True)
class RsvpCounts:
    """The number of RSVPs by status."""

    going: int
    maybe: int
    not_going: int


class Rsvps(Repository[Rsvp, RsvpId]):
    """RSVPs to events.

    The event's `rsvpCount` (status `going`) is updated in the same transaction. Concurrent RSVPs to one event in one
    process share transactions. Inside `transaction` they belong to the open transaction.
    """

    document = Rsvp

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self._groups = GroupCommit[EventId, _Request, RsvpResult | None](
            connection, self._apply, lambda event_id: [(Event.Settings.name, event_id)]
        )

    async def withdraw(self, user_id: UserId, event_id: EventId) -> bool:
        """Withdraw the user's RSVP. Idempotent.

        Returns:
            `False` if the user had none.

        Raises:
            NotFoundError: The event does not exist or is deleted.
            EventOverError: The event is over.

        Cost: one transaction, 4 round trips; index by_eventId_and_userId; concurrent RSVPs to the event share it.
        """
        return await self._groups.submit(event_id, (user_id, "withdraw", NOTHING)) is not None

    async def delete(self, id: RsvpId) -> None:
        """Delete the RSVP, also when the event is over.

        Raises:
            NotFoundError: The RSVP does not exist.

        Cost: one transaction, 3 round trips; index `_id`.
        """

        async def work() -> None:
            wire = await self._collection.find_one_and_delete({"_id": id})
            if wire is None:
                raise not_found(Rsvp, id)
            if wire["status"] == "going":
                # Deleted events too: they keep their RSVPs, so their counter must stay correct.
                await self._of(Event).update_one({"_id": wire["eventId"]}, {"$inc": {"rsvpCount": -1}})

        await self._connection.transaction(work)

    async def for_pair(self, user_id: UserId, event_id: EventId) -> Rsvp | None:
        """Return the user's RSVP to the event, or `None`.

        Cost: 1 round trip; index by_eventId_and_userId.
        """
        return await self._one({"eventId": event_id, "userId": user_id}, hint="by_eventId_and_userId")

    async def attendees(
        self, event_id: EventId, *, status: RsvpStatus = "going", limit: Limit = 20, after: Cursor | None = None
    ) -> Page[Rsvp]:
        """Return a page of the event's RSVPs with one status, newest first. It is empty while the event is deleted.

        The order is that of creation: changing an RSVP does not move it.

        Cost: 2 round trips; index by_eventId_and_status.
        """
        of_kind = {"eventId": event_id, "status": status}
        alive = partial(self._of(Event).find_one, {"_id": event_id, **ALIVE}, {"_id": 1})
        return await self._page(of_kind, "by_eventId_and_status", limit, after, only_if=alive)

    async def for_user(self, user_id: UserId, *, limit: Limit = 20, after: Cursor | None = None) -> Page[Rsvp]:
        """Return a page of the user's RSVPs, newest first, without those to deleted events.

        Cost: 1 round trip, more if many events around the page are deleted; indexes by_userId and, on the events,
        `_id`.
        """
        filter, lookups = {"userId": user_id}, [{"$lookup": _ALIVE_EVENT}]
        return await self._filtered_page(filter, "by_userId", lookups, itemgetter("event"), limit=limit, after=after)

    async def counts(self, event_id: EventId) -> RsvpCounts:
        """Count the event's RSVPs by status.

        Cost: 1 round trip; index by_eventId_and_status, one key per RSVP.
        """
        pipeline: list[dict[str, Any]] = [
            {"$match": {"eventId": event_id}},
            {"$group": {"_id": "$status", "count": {"$sum": 1}}},
        ]
        cursor = await self._collection.aggregate(pipeline, hint="by_eventId_and_status")
        found = {group["_id"]: group["count"] async for group in cursor}
        return RsvpCounts(found.get("going", 0), found.get("maybe", 0), found.get("notGoing", 0))

    # The last public method, because after this definition an annotation `set` in this class means this method.
    async def set(
        self, user_id: UserId, event_id: EventId, status: RsvpStatus, *, reward: bool = False, notify: bool = False
    ) -> RsvpResult:
        """Create or change the user's RSVP. Idempotent.

        Args:
            user_id: The user.
            event_id: The event.
            status: `going`, `maybe` or `notGoing`.
            reward: Award a user who is going the points for `rsvp`, once per event.
            notify: Notify the user if those points lead to a new level (`level_up`).

        Raises:
            NotFoundError: The user or event does not exist, or the event is deleted.
            EventFullError: All seats are taken. The RSVP does not change.
            EventOverError: The event is over. A recurring event is over when its last occurrence is.

        Cost: one transaction, 4 round trips; index by_eventId_and_userId; concurrent RSVPs to the event share it. It
        takes 8 round trips with `reward` (indexes by_action, by_threshold, by_userId_and_action_and_reference), 9 if
        that leads to a notification.
        """
        return cast("RsvpResult", await self._groups.submit(event_id, (user_id, status, Wanted(reward, notify))))

    async def _apply(self, event_id: EventId, requests: Sequence[_Request]) -> Sequence[_Answer]:
        """Apply the requests in order, and write the result. Runs in a transaction."""
        found = await self._state(event_id, [user_id for user_id, _, _ in requests])
        if found is None:
            return [not_found(Event, event_id) for _ in requests]
        now = self._now()
        if Schedule.of(found.event).is_over(now):
            return [EventOverError() for _ in requests]
        seats = _Seats(found, now, self.document)
        answers = [seats.answer(user_id, wish) for user_id, wish, _ in requests]
        await self._write(found, seats)
        acts = [
            Act(wanted, [Cause(user_id, "rsvp", "event", str(event_id))])
            for (user_id, wish, wanted), answer in zip(requests, answers, strict=True)
            if wish == "going" and isinstance(answer, RsvpResult) and answer.newly
        ]
        await bring_about(self._connection, acts)
        return answers

    async def _state(self, event_id: EventId, user_ids: Sequence[UserId]) -> "_State | None":
        """Return the event, the existing users and their RSVPs to it, or `None` without the event. 1 round trip."""
        users = {
            "from": "users",
            "pipeline": [{"$match": {"_id": {"$in": user_ids}}}, {"$project": {"_id": 1}}],
            "as": "users",
        }
        # A lookup takes no hint. The sort makes the server choose by_eventId_and_userId.
        of_users = {"eventId": event_id, "userId": {"$in": user_ids}}
        rsvps = {
            "from": "rsvps",
            "pipeline": [{"$match": of_users}, {"$sort": dict.fromkeys(of_users, 1)}],
            "as": "rsvps",
        }
        pipeline: list[dict[str, Any]] = [
            {"$match": {"_id": event_id, **ALIVE}},
            {"$lookup": users},
            {"$lookup": rsvps},
        ]
        wires = await (await self._of(Event).aggregate(pipeline)).to_list()
        if not wires:
            return None
        answers = {wire["userId"]: self.document.from_wire(wire) for wire in wires[0]["rsvps"]}
        return _State(
            self._class(Event).from_wire(wires[0]), frozenset(user["_id"] for user in wires[0]["users"]), answers
        )

    async def _write(self, found: "_State", seats: "_Seats") -> None:
        gone: list[DeleteOne] = []
        new: list[InsertOne[dict[str, Any]]] = []
        changed: list[UpdateOne] = []
        for user_id, after in seats.rsvps.items():
            before = found.rsvps.get(user_id)
            if before is not None and after is not None and after.id == before.id:
                if after.status != before.status:
                    values = {"status": after.status, "updatedAt": after.updated_at}
                    changed.append(UpdateOne({"_id": before.id}, {"$set": values}))
                continue
            if before is not None:
                gone.append(DeleteOne({"_id": before.id}))
            if after is not None:
                new.append(InsertOne(after.to_wire()))
        # In this order: an RSVP that was withdrawn and set again is removed before it is inserted.
        if changes := [*gone, *new, *changed]:
            await self._collection.bulk_write(changes)
        if seats.taken != found.event.rsvp_count:
            more = seats.taken - found.event.rsvp_count
            await self._of(Event).update_one({"_id": found.event.id}, {"$inc": {"rsvpCount": more}})


@dataclass(frozen=True, slots=True)
class _State:
    """The stored event, users and RSVPs that the requests are about."""

    event: Event
    users: frozenset[UserId]
    rsvps: Mapping[UserId, Rsvp]


class _Seats:
    """The RSVPs to an event while requests are applied."""

    def __init__(self, found: _State, now: int, document: type[Rsvp]) -> None:
        self._found, self._now, self._document = found, now, document
        self.rsvps: dict[UserId, Rsvp | None] = dict(found.rsvps)
        self.taken = found.event.rsvp_count

    def answer(self, user_id: UserId, wish: _Wish) -> _Answer:
        """Return the user's RSVP after the request, for a withdrawal the one before it, or why it is refused."""
        before = self.rsvps.get(user_id)
        if wish == "withdraw":
            self._take(user_id, before, None)
            return None if before is None else RsvpResult(before, newly=True)
        if user_id not in self._found.users:
            return not_found(User, user_id)
        if before is not None and before.status == wish:
            return RsvpResult(before.model_copy(), newly=False)
        capacity = self._found.event.capacity
        if wish == "going" and capacity is not None and self.taken >= capacity:
            return EventFullError()
        after = self._changed(user_id, before, wish)
        self._take(user_id, before, after)
        return RsvpResult(after, newly=True)

    def _changed(self, user_id: UserId, before: Rsvp | None, status: RsvpStatus) -> Rsvp:
        if before is not None:
            return before.model_copy(update={"status": status, "updated_at": self._now})
        now = self._now
        return self._document(
            event_id=self._found.event.id, user_id=user_id, status=status, created_at=now, updated_at=now
        )

    def _take(self, user_id: UserId, before: Rsvp | None, after: Rsvp | None) -> None:
        self.taken += _goes(after) - _goes(before)
        self.rsvps[user_id] = after


def _goes(rsvp: Rsvp | None) -> bool:
    return rsvp is not None and rsvp.status == "going"


_ALIVE_EVENT = lookup_alive(Event, "eventId", "event")
