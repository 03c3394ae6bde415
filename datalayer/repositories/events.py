"""Events."""

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypeAlias, cast

from bson import MinKey, ObjectId
from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from datalayer.documents.events import Event, Recurrence
from datalayer.engine.boundary import UNSET, Cursor, Limit, Unset
from datalayer.engine.fields import Count, File, Html, Note, Timestamp, Title
from datalayer.engine.pages import Number, Page, decode_cursor
from datalayer.engine.repository import ALIVE, AT_ONCE, SoftDeletingRepository, page_of
from datalayer.errors import InvalidInputError, NotFoundError
from datalayer.ids import EventId
from datalayer.repositories.shared.recurrence import Schedule

MAX_OCCURRENCES = 10_000
"""How many occurrences `between` gives at most."""


class _Repeats:
    """A `Recurrence`, validated again since it may have been changed; or a mapping of its fields."""

    def __get_pydantic_core_schema__(self, _source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(_recurrence_fields, handler.generate_schema(Recurrence))


def _recurrence_fields(value: object) -> object:
    return dict(value) if isinstance(value, Recurrence) else value


Repeats: TypeAlias = Annotated[Recurrence | Mapping[str, object], _Repeats()]
"""How an event repeats: a `Recurrence`, or a mapping of its fields."""

_Wire: TypeAlias = dict[str, Any]
_Position: TypeAlias = tuple[float, ObjectId]

_SINGLE = {**ALIVE, "recurrence": None}
_SERIES = {**ALIVE, "recurrence.frequency": {"$exists": True}}
_SINGLE_INDEX, _SERIES_INDEX = "by_endTime_and_startTime", "by_seriesEndTime_and_startTime"

_BY_START = ["startTime", "_id"]
_BY_LAST_END = ["lastEnd", "startTime", "_id"]
_FIRST_ID, _LAST_ID = ObjectId(bytes(12)), ObjectId(b"\xff" * 12)


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One time that an event takes place."""

    event: Event
    start_time: int
    end_time: int


class Events(SoftDeletingRepository[Event, EventId]):
    """The events. Those that repeat are stored once, and expanded when they are read.

    The answers to an event that is deleted stay, unlisted, and come back with it.
    """

    document = Event

    async def create(
        self,
        *,
        title: Title,
        start_time: Timestamp,
        end_time: Timestamp,
        description: Note | None = None,
        description_html: Html | None = None,
        location: Note | None = None,
        capacity: Count | None = None,
        cover_storage_id: File | None = None,
        recurrence: Repeats | None = None,
    ) -> Event:
        """Make an event, to which nobody goes yet. One round trip.

        Raises:
            InvalidInputError: It ends before it starts; or it repeats until a date and a number of times, or until a
                date before its start.
        """
        repeats = cast("Recurrence | None", recurrence)
        return await self._insert(
            self.document(
                title=title,
                description=description,
                description_html=description_html,
                cover_storage_id=cover_storage_id,
                start_time=start_time,
                end_time=end_time,
                location=location,
                capacity=capacity,
                rsvp_count=0,
                recurrence=repeats,
                series_end_time=_series_end(Schedule(start_time, end_time, repeats)),
                created_at=self._now(),
            )
        )

    async def update(
        self,
        id: EventId,
        *,
        title: Title | Unset = UNSET,
        start_time: Timestamp | Unset = UNSET,
        end_time: Timestamp | Unset = UNSET,
        description: Note | Unset | None = UNSET,
        description_html: Html | Unset | None = UNSET,
        location: Note | Unset | None = UNSET,
        capacity: Count | Unset | None = UNSET,
        cover_storage_id: File | Unset | None = UNSET,
        recurrence: Repeats | Unset | None = UNSET,
    ) -> Event:
        """Change some of the event's fields. One round trip; a transaction of 3 where it is about when it takes place.

        Raises:
            NotFoundError: There is none.
            InvalidInputError: More people go than the new capacity has seats; or what `create` refuses of the times.
        """
        changes = self._changes(
            title=title,
            description=description,
            description_html=description_html,
            location=location,
            capacity=capacity,
            cover_storage_id=cover_storage_id,
        )
        if start_time is UNSET and end_time is UNSET and recurrence is UNSET:
            return await self._change(id, changes, capacity)

        async def work() -> Event:
            # The update writes what is read here, so that another one at once conflicts with it.
            event = self._found(await self._one({"_id": id, **ALIVE}), id)
            schedule = Schedule(
                start_time if isinstance(start_time, int) else event.start_time,
                end_time if isinstance(end_time, int) else event.end_time,
                event.recurrence if recurrence is UNSET else cast("Recurrence | None", recurrence),
            )
            return await self._change(id, _merged(changes, self._times(schedule)), capacity)

        return await self._connection.transaction(work)

    async def between(self, start: Timestamp, end: Timestamp) -> list[Occurrence]:
        """What overlaps the half-open range, sorted by start, then by the event's id; each with its own times.

        2 round trips, by_endTime_and_startTime and by_seriesEndTime_and_startTime: only events that take place in the
        range are read, and series that go on in it. Of the first index, all keys from the range's start onwards.

        Raises:
            InvalidInputError: The range is empty, or has more than 10,000 occurrences.
        """
        if start >= end:
            raise InvalidInputError("end", "must be after start")
        events = self.document.from_wires(await self._around(start, {"$lt": end}, MAX_OCCURRENCES + 1))
        schedules = [(event, schedule := Schedule.of(event), schedule.overlapping(start, end)) for event in events]
        # Not by `len`: there may be more than it can say.
        if sum(max(0, numbers.stop - numbers.start) for _, _, numbers in schedules) > MAX_OCCURRENCES:
            raise InvalidInputError("end", f"must be earlier: there are more than {MAX_OCCURRENCES:,} occurrences")
        occurrences = [
            Occurrence(event, begins := schedule.start_of(number), begins + event.end_time - event.start_time)
            for event, schedule, numbers in schedules
            for number in numbers
        ]
        return sorted(occurrences, key=lambda occurrence: (occurrence.start_time, occurrence.event.id))

    async def upcoming(self, *, limit: Limit = 20, after: Cursor | None = None) -> Page[Event]:
        """The events that are not over, by the start of their first occurrence: a series, as long as it goes on.

        One round trip, by_startTime, where the page is of those that have not started. Those that have take 2 round
        trips, by_endTime_and_startTime and by_seriesEndTime_and_startTime, and a page of both 3. The two read all that
        goes on at this moment from the page's beginning on, and the keys of everything that is not over, since an
        index cannot have both starts and ends in order.
        """
        query = ("events", "upcoming")
        position = (-1, _FIRST_ID) if after is None else _start_position(query, after)
        now = self._now()
        wires: list[_Wire] = []
        if position[0] <= now:
            running = await self._around(now, {"$lte": now, "$gte": position[0]})
            wires = heapq.nsmallest(limit + 1, [wire for wire in running if _start(wire) > position], key=_start)
            position = (now, _LAST_ID)
        if len(wires) <= limit:
            wires += await self._starting(position, limit + 1 - len(wires))
        return page_of(wires, limit, query, _BY_START, self.document.from_wires)

    async def past(self, *, limit: Limit = 20, after: Cursor | None = None) -> Page[Event]:
        """The events that are over, the last one to end first; of a series its last occurrence counts.

        2 round trips, by_endTime_and_startTime and by_seriesEndTime_and_startTime.
        """
        query = ("events", "past")
        # An event is over at the very moment that it ends.
        kinds = [Number, Number, ObjectId]
        position = [self._now() + 1, MinKey(), MinKey()] if after is None else decode_cursor(query, after, kinds)
        single = await self._ended(_SINGLE, _SINGLE_INDEX, "endTime", position, limit + 1)
        series = await self._ended(_SERIES, _SERIES_INDEX, "seriesEndTime", position, limit + 1)
        newest = heapq.nlargest(limit + 1, single + series, key=lambda wire: [wire[name] for name in _BY_LAST_END])
        return page_of(newest, limit, query, _BY_LAST_END, self.document.from_wires)

    def _times(self, schedule: Schedule) -> dict[str, dict[str, object]]:
        """The operators that set when an event takes place."""
        repeats = schedule.recurrence
        return self._changes(
            start_time=schedule.start_time,
            end_time=schedule.end_time,
            recurrence=None if repeats is None else repeats.model_dump(by_alias=True, exclude_none=True),
            series_end_time=_series_end(schedule),
        )

    async def _change(self, id: EventId, changes: Mapping[str, Any], capacity: Count | Unset | None) -> Event:
        """Update the event, if there are seats for the people who go."""
        filter = {"_id": id, **ALIVE}
        if not isinstance(capacity, int):
            return await self._update(filter, changes)
        while True:
            try:
                return await self._update({**filter, "rsvpCount": {"$lte": capacity}}, changes)
            except NotFoundError:
                going = self._found(await self._one(filter), id).rsvp_count
            # Else somebody has withdrawn in between.
            if going > capacity:
                raise InvalidInputError("capacity", f"must not be below the number of people going, {going}")

    async def _around(self, start: int, starts: Mapping[str, Any], limit: int = 0) -> list[_Wire]:
        """The events that begin like this and are not over at `start`; of those that do not repeat, `limit` at most."""
        single = {**_SINGLE, "endTime": {"$gt": start}, "startTime": starts}
        # Also those without an end.
        series = {**_SERIES, "seriesEndTime": {"$not": {"$lte": start}}, "startTime": starts}
        single_wires = self._collection.find(single, limit=limit, batch_size=AT_ONCE, hint=_SINGLE_INDEX)
        series_wires = self._collection.find(series, batch_size=AT_ONCE, hint=_SERIES_INDEX)
        return [*await single_wires.to_list(), *await series_wires.to_list()]

    async def _starting(self, position: _Position, limit: int) -> list[_Wire]:
        """The events behind the position, by start."""
        start, id = position
        filter = {**ALIVE, "startTime": {"$gte": start}, "$or": [{"startTime": {"$gt": start}}, {"_id": {"$gt": id}}]}
        sort = dict.fromkeys(_BY_START, 1)
        cursor = self._collection.find(filter, sort=sort, limit=limit, batch_size=AT_ONCE, hint="by_startTime")
        return await cursor.to_list()

    async def _ended(
        self, filter: Mapping[str, Any], index: str, field: str, position: Sequence[object], limit: int
    ) -> list[_Wire]:
        """The events before the position in the index, the last one to end first."""
        order = (field, "startTime", "_id")
        # Endless series are below all numbers.
        low: Any = list(zip(order, (0, MinKey(), MinKey()), strict=True))
        high: Any = list(zip(order, position, strict=True))
        sort = dict.fromkeys(order, -1)
        cursor = self._collection.find(filter, sort=sort, limit=limit, batch_size=AT_ONCE, hint=index)
        cursor.min(low).max(high)
        return [{**wire, "lastEnd": wire[field]} for wire in await cursor.to_list()]


def _start(wire: Mapping[str, Any]) -> _Position:
    return wire["startTime"], wire["_id"]


def _start_position(query: object, cursor: str) -> _Position:
    start, id = decode_cursor(query, cursor, [Number, ObjectId])
    return start, id


def _series_end(schedule: Schedule) -> int | None:
    """What is stored as the end of the series.

    Raises:
        InvalidInputError: An event cannot take place like this.
    """
    if schedule.start_time >= schedule.end_time:
        raise InvalidInputError("end_time", "must be after start_time")
    repeats = schedule.recurrence
    if repeats is None:
        return None
    if repeats.end_date is not None and repeats.end_after is not None:
        raise InvalidInputError("recurrence", "must not have both end_date and end_after")
    if repeats.end_date is not None and repeats.end_date < schedule.start_time:
        raise InvalidInputError("recurrence.end_date", "must not be before start_time")
    return schedule.over_at


def _merged(one: Mapping[str, Mapping[str, object]], other: Mapping[str, Mapping[str, object]]) -> dict[str, Any]:
    """The operators of both updates."""
    return {operator: {**one.get(operator, {}), **other.get(operator, {})} for operator in {*one, *other}}
