"""Events and their occurrences."""

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypeAlias, cast

from bson import MinKey, ObjectId
from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from datalayer.documents.events import Event, Recurrence
from datalayer.engine.boundary import UNSET, Cursor, Limit, Unset
from datalayer.engine.fields import Count, File, Html, ShortText, Timestamp, Title
from datalayer.engine.pages import Number, Page, decode_cursor
from datalayer.engine.repository import ALIVE, AT_ONCE, SoftDeletingRepository, page_of
from datalayer.errors import InvalidInputError, NotFoundError
from datalayer.ids import EventId
from datalayer.repositories.shared.recurrence import Schedule

MAX_OCCURRENCES = 10_000
"""The maximum number of occurrences that `between` returns."""


class _Repeats:
    """Validates a `Recurrence` (again, because it may have been modified) or a mapping of its fields."""

    def __repr__(self) -> str:
        return "Recurrence"

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
    """One occurrence of an event, with its own times in Unix milliseconds."""

    event: Event
    start_time: int
    end_time: int


class Events(SoftDeletingRepository[Event, EventId]):
    """The events. A recurring event is stored once, and expanded into occurrences on reads.

    The RSVPs of a deleted event are kept but not listed. They are visible again after `restore`.
    """

    document = Event

    async def create(
        self,
        *,
        title: Title,
        start_time: Timestamp,
        end_time: Timestamp,
        description: ShortText | None = None,
        description_html: Html | None = None,
        location: ShortText | None = None,
        capacity: Count | None = None,
        cover_storage_id: File | None = None,
        recurrence: Repeats | None = None,
    ) -> Event:
        """Create an event with no RSVPs.

        Raises:
            InvalidInputError: The event does not end after it starts; or the recurrence has both `end_date` and
                `end_after`, or an `end_date` before the event's start.

        Cost: 1 round trip.
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
        description: ShortText | Unset | None = UNSET,
        description_html: Html | Unset | None = UNSET,
        location: ShortText | Unset | None = UNSET,
        capacity: Count | Unset | None = UNSET,
        cover_storage_id: File | Unset | None = UNSET,
        recurrence: Repeats | Unset | None = UNSET,
    ) -> Event:
        """Change the given fields of the event.

        Raises:
            NotFoundError: The event does not exist or is deleted.
            InvalidInputError: The new capacity is below the number of people going, or the times are invalid (see
                `create`).

        Cost: 1 round trip; if `start_time`, `end_time` or `recurrence` changes, one transaction of 3 round trips; index
        `_id`.
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
            # The update writes the fields that are read here, so concurrent updates conflict.
            event = self._found(await self._one({"_id": id, **ALIVE}), id)
            schedule = Schedule(
                start_time if isinstance(start_time, int) else event.start_time,
                end_time if isinstance(end_time, int) else event.end_time,
                event.recurrence if recurrence is UNSET else cast("Recurrence | None", recurrence),
            )
            return await self._change(id, _merged(changes, self._times(schedule)), capacity)

        return await self._connection.transaction(work)

    async def between(self, start: Timestamp, end: Timestamp) -> list[Occurrence]:
        """List the occurrences that overlap the half-open range from `start` to `end`, by start time, then by event id.

        Args:
            start: The start of the range, in Unix milliseconds.
            end: The end of the range (exclusive), in Unix milliseconds.

        Raises:
            InvalidInputError: The range is empty, or contains more than 10,000 occurrences.

        Cost: 2 round trips; indexes by_endTime_and_startTime (it scans all keys from the start of the range on) and
        by_seriesEndTime_and_startTime. Only events in the range are read, and series that are not over before it.
        """
        if start >= end:
            raise InvalidInputError("end", "must be after start")
        events = self.document.from_wires(await self._around(start, {"$lt": end}, MAX_OCCURRENCES + 1))
        schedules = [(event, schedule := Schedule.of(event), schedule.overlapping(start, end)) for event in events]
        # Not `len`: it overflows for very long ranges.
        if sum(max(0, numbers.stop - numbers.start) for _, _, numbers in schedules) > MAX_OCCURRENCES:
            raise InvalidInputError("end", f"must be earlier: the range has more than {MAX_OCCURRENCES:,} occurrences")
        occurrences = [
            Occurrence(event, begins := schedule.start_of(number), begins + event.end_time - event.start_time)
            for event, schedule, numbers in schedules
            for number in numbers
        ]
        return sorted(occurrences, key=lambda occurrence: (occurrence.start_time, occurrence.event.id))

    async def upcoming(self, *, limit: Limit = 20, after: Cursor | None = None) -> Page[Event]:
        """Return a page of the events that are not over, by the start of their first occurrence.

        A recurring event is included until its last occurrence ends.

        Cost: 1 round trip if the whole page has not started yet, 2 if the whole page is running, 3 for a mixed page;
        indexes by_startTime for events that have not started, by_endTime_and_startTime and
        by_seriesEndTime_and_startTime for those that have. The latter two read every running event from the start of
        the page on, and the keys of all events that are not over, because no index can order by both start and end.
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
        """Return a page of the events that are over, the latest end first.

        Of a recurring event, the end of the last occurrence counts.

        Cost: 2 round trips; indexes by_endTime_and_startTime and by_seriesEndTime_and_startTime.
        """
        query = ("events", "past")
        # An event is over at the instant of its end.
        kinds = [Number, Number, ObjectId]
        position = [self._now() + 1, MinKey(), MinKey()] if after is None else decode_cursor(query, after, kinds)
        single = await self._ended(_SINGLE, _SINGLE_INDEX, "endTime", position, limit + 1)
        series = await self._ended(_SERIES, _SERIES_INDEX, "seriesEndTime", position, limit + 1)
        newest = heapq.nlargest(limit + 1, single + series, key=lambda wire: [wire[name] for name in _BY_LAST_END])
        return page_of(newest, limit, query, _BY_LAST_END, self.document.from_wires)

    def _times(self, schedule: Schedule) -> dict[str, dict[str, object]]:
        """Return the update operators that set when an event takes place."""
        repeats = schedule.recurrence
        return self._changes(
            start_time=schedule.start_time,
            end_time=schedule.end_time,
            recurrence=None if repeats is None else repeats.model_dump(by_alias=True, exclude_none=True),
            series_end_time=_series_end(schedule),
        )

    async def _change(self, id: EventId, changes: Mapping[str, Any], capacity: Count | Unset | None) -> Event:
        """Update the event, unless the capacity is below the number of people going."""
        filter = {"_id": id, **ALIVE}
        if not isinstance(capacity, int):
            return await self._update(filter, changes)
        while True:
            try:
                return await self._update({**filter, "rsvpCount": {"$lte": capacity}}, changes)
            except NotFoundError:
                going = self._found(await self._one(filter), id).rsvp_count
            # Otherwise an RSVP was withdrawn in between: retry.
            if going > capacity:
                raise InvalidInputError("capacity", f"must not be below the number of people going, {going}")

    async def _around(self, start: int, starts: Mapping[str, Any], limit: int = 0) -> list[_Wire]:
        """Return the events that start like this and are not over at `start`.

        At most `limit` of those that do not recur.
        """
        single = {**_SINGLE, "endTime": {"$gt": start}, "startTime": starts}
        # Includes series without an end.
        series = {**_SERIES, "seriesEndTime": {"$not": {"$lte": start}}, "startTime": starts}
        single_wires = self._collection.find(single, limit=limit, batch_size=AT_ONCE, hint=_SINGLE_INDEX)
        series_wires = self._collection.find(series, batch_size=AT_ONCE, hint=_SERIES_INDEX)
        return [*await single_wires.to_list(), *await series_wires.to_list()]

    async def _starting(self, position: _Position, limit: int) -> list[_Wire]:
        """Return the events after the position, by start."""
        start, id = position
        filter = {**ALIVE, "startTime": {"$gte": start}, "$or": [{"startTime": {"$gt": start}}, {"_id": {"$gt": id}}]}
        sort = dict.fromkeys(_BY_START, 1)
        cursor = self._collection.find(filter, sort=sort, limit=limit, batch_size=AT_ONCE, hint="by_startTime")
        return await cursor.to_list()

    async def _ended(
        self, filter: Mapping[str, Any], index: str, field: str, position: Sequence[object], limit: int
    ) -> list[_Wire]:
        """Return the events before the position in the index, the latest end first."""
        order = (field, "startTime", "_id")
        # The index sorts endless series (no value) below all numbers.
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
    """Return the value to store as the end of the series.

    Raises:
        InvalidInputError: The times or the recurrence are invalid.
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
    """Merge the operators of two updates."""
    return {operator: {**one.get(operator, {}), **other.get(operator, {})} for operator in {*one, *other}}
