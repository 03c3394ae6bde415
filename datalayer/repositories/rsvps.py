"""Who comes to an event."""

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
    """What `set` returns.

    Attributes:
        rsvp: The user's answer.
        newly: Whether it was another one before this call, or none.
    """

    rsvp: Rsvp
    newly: bool


_Answer: TypeAlias = RsvpResult | Exception | None


@dataclass(frozen=True, slots=True)
class RsvpCounts:
    """How many people gave which answer."""

    going: int
    maybe: int
    not_going: int


class Rsvps(Repository[Rsvp, RsvpId]):
    """The answers to events. The event's `rsvpCount`, which is those going, follows in the same transaction.

    Concurrent answers to one event in one process share transactions; outside of `transaction`, that is: there they
    belong to the transaction that is open.
    """

    document = Rsvp

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self._groups = GroupCommit[EventId, _Request, RsvpResult | None](
            connection, self._apply, lambda event_id: [(Event.Settings.name, event_id)]
        )

    async def withdraw(self, user_id: UserId, event_id: EventId) -> bool:
        """Take the user's answer back; whether there was one.

        A transaction of 4 round trips, by_eventId_and_userId, shared as `set`'s is.

        Raises:
            NotFoundError: There is no such event.
            EventOverError: It is over.
        """
        return await self._groups.submit(event_id, (user_id, "withdraw", NOTHING)) is not None

    async def delete(self, id: RsvpId) -> None:
        """Remove the answer, even when the event is over. A transaction of 3 round trips.

        Raises:
            NotFoundError: There is none.
        """

        async def work() -> None:
            wire = await self._collection.find_one_and_delete({"_id": id})
            if wire is None:
                raise not_found(Rsvp, id)
            if wire["status"] == "going":
                # Also of a deleted event: the other answers to it stay, and so its counter has to.
                await self._of(Event).update_one({"_id": wire["eventId"]}, {"$inc": {"rsvpCount": -1}})

        await self._connection.transaction(work)

    async def for_pair(self, user_id: UserId, event_id: EventId) -> Rsvp | None:
        """The user's answer to the event. One round trip, by_eventId_and_userId."""
        return await self._one({"eventId": event_id, "userId": user_id}, hint="by_eventId_and_userId")

    async def attendees(
        self, event_id: EventId, *, status: RsvpStatus = "going", limit: Limit = 20, after: Cursor | None = None
    ) -> Page[Rsvp]:
        """The answers of one kind, newest first; none while the event is deleted. 2 round trips, by_eventId_and_status.

        The newest is the one that was made last; an answer that is changed keeps its place.
        """
        of_kind = {"eventId": event_id, "status": status}
        alive = partial(self._of(Event).find_one, {"_id": event_id, **ALIVE}, {"_id": 1})
        return await self._page(of_kind, "by_eventId_and_status", limit, after, only_if=alive)

    async def for_user(self, user_id: UserId, *, limit: Limit = 20, after: Cursor | None = None) -> Page[Rsvp]:
        """The user's answers to events that are not deleted, newest first.

        One round trip, by_userId and the events' `_id`; more where the page lies among many of deleted events.
        """
        filter, lookups = {"userId": user_id}, [{"$lookup": _ALIVE_EVENT}]
        return await self._filtered_page(filter, "by_userId", lookups, itemgetter("event"), limit=limit, after=after)

    async def counts(self, event_id: EventId) -> RsvpCounts:
        """How many people gave which answer. One round trip; a key of by_eventId_and_status for each of them."""
        pipeline: list[dict[str, Any]] = [
            {"$match": {"eventId": event_id}},
            {"$group": {"_id": "$status", "count": {"$sum": 1}}},
        ]
        cursor = await self._collection.aggregate(pipeline, hint="by_eventId_and_status")
        found = {group["_id"]: group["count"] async for group in cursor}
        return RsvpCounts(found.get("going", 0), found.get("maybe", 0), found.get("notGoing", 0))

    # Last of the public ones: behind it, `set` in an annotation of this class would be this method.
    async def set(
        self, user_id: UserId, event_id: EventId, status: RsvpStatus, *, reward: bool = False, notify: bool = False
    ) -> RsvpResult:
        """Give or change the user's answer; safe to repeat.

        A transaction of 4 round trips, by_eventId_and_userId, shared with those who answer at once. It has 8 round
        trips with `reward`, by_action, by_threshold and by_userId_and_action_and_reference, 9 where that leads to a
        notification.

        Args:
            user_id: Who answers.
            event_id: The event.
            status: The answer.
            reward: Give a user who is going the points of `rsvp`, once for the event.
            notify: Tell the user of a level that they reach by that (`level_up`).

        Raises:
            NotFoundError: There is no such user or event.
            EventFullError: All seats are taken; the answer stays as it was.
            EventOverError: The event is over; a series, when its last occurrence is.
        """
        return cast("RsvpResult", await self._groups.submit(event_id, (user_id, status, Wanted(reward, notify))))

    async def _apply(self, event_id: EventId, requests: Sequence[_Request]) -> Sequence[_Answer]:
        """Do the requests one after the other, and write what comes out of it. In a transaction."""
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
        """The event if it is there, which of the users exist, and their answers to it. One round trip."""
        users = {
            "from": "users",
            "pipeline": [{"$match": {"_id": {"$in": user_ids}}}, {"$project": {"_id": 1}}],
            "as": "users",
        }
        # A lookup takes no hint. Only by_eventId_and_userId has the order asked for.
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
        # In this order: an answer that was withdrawn and given again makes place for itself.
        if changes := [*gone, *new, *changed]:
            await self._collection.bulk_write(changes)
        if seats.taken != found.event.rsvp_count:
            more = seats.taken - found.event.rsvp_count
            await self._of(Event).update_one({"_id": found.event.id}, {"$inc": {"rsvpCount": more}})


@dataclass(frozen=True, slots=True)
class _State:
    """What is stored of an event and of those who ask for something."""

    event: Event
    users: frozenset[UserId]
    rsvps: Mapping[UserId, Rsvp]


class _Seats:
    """The answers to an event while requests are done."""

    def __init__(self, found: _State, now: int, document: type[Rsvp]) -> None:
        self._found, self._now, self._document = found, now, document
        self.rsvps: dict[UserId, Rsvp | None] = dict(found.rsvps)
        self.taken = found.event.rsvp_count

    def answer(self, user_id: UserId, wish: _Wish) -> _Answer:
        """The user's answer after the request, the one before for a withdrawal, or why it cannot be done."""
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
