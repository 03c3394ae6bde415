"""When an event takes place: the arithmetic of the calendar, in UTC.

Nothing here steps from one occurrence to the next: the first one of a range, and how many there are, come from a
division. So an event that has repeated daily since 1970 costs what one of this week does. Time is Unix milliseconds
throughout, and years have no upper limit.
"""

from dataclasses import dataclass
from datetime import date
from typing import Protocol

from datalayer.documents.events import Recurrence
from datalayer.engine.clock import DAY
from datalayer.engine.fields import MAX_INTEGER

_STEPS = {"daily": DAY, "weekly": 7 * DAY}

# The calendar repeats every 400 years; `date` needs to know only one of those cycles, and ends at the year 9999.
_CYCLE_START = 2000
_CYCLE_MONTHS = 400 * 12
_CYCLE_DAYS = 146_097
_CYCLE_START_DAY = date(_CYCLE_START, 1, 1).toordinal() - date(1970, 1, 1).toordinal()


class Dated(Protocol):
    """What has a first occurrence, and may repeat: an event."""

    start_time: int
    end_time: int
    recurrence: Recurrence | None


@dataclass(frozen=True, slots=True)
class Schedule:
    """The occurrences of an event, numbered from 0.

    Daily and weekly ones follow each other at the same distance. Monthly ones are on the day of the month of the first,
    in shorter months on the last day: each is counted from the first, so January 31 and February 28 lead to March 31.
    """

    start_time: int
    end_time: int
    recurrence: Recurrence | None

    @classmethod
    def of(cls, event: Dated) -> "Schedule":
        """The event's schedule."""
        return cls(event.start_time, event.end_time, event.recurrence)

    @property
    def count(self) -> int | None:
        """How many occurrences there are in all, at least one; `None` where there is no end."""
        if self.recurrence is None:
            return 1
        counts: list[int] = []
        if self.recurrence.end_after is not None:
            counts.append(self.recurrence.end_after)
        if self.recurrence.end_date is not None:
            counts.append(self._first_after(self.recurrence.end_date))
        return max(1, min(counts)) if counts else None

    @property
    def over_at(self) -> int | None:
        """When the last occurrence ends; `None` where that is never, or beyond what a timestamp can hold."""
        count = self.count
        if count is None:
            return None
        end = self.start_of(count - 1) + self.end_time - self.start_time
        return end if end <= MAX_INTEGER else None

    def is_over(self, now: int) -> bool:
        """Whether the last occurrence has ended."""
        return self.over_at is not None and self.over_at <= now

    def start_of(self, number: int) -> int:
        """When an occurrence starts."""
        if self.recurrence is None or number == 0:
            return self.start_time
        steps = number * self.recurrence.interval
        if self.recurrence.frequency == "monthly":
            return _months_later(self.start_time, steps)
        return self.start_time + steps * _STEPS[self.recurrence.frequency]

    def overlapping(self, start: int, end: int) -> range:
        """The numbers of the occurrences that overlap the half-open range."""
        first = self._first_after(start - (self.end_time - self.start_time))
        behind = self._first_after(end - 1)
        return range(first, behind if self.count is None else min(behind, self.count))

    def _first_after(self, moment: int) -> int:
        """The number of the first occurrence that starts after a moment, as if there were no end."""
        if moment < self.start_time:
            return 0
        if self.recurrence is None:
            return 1
        if self.recurrence.frequency != "monthly":
            step = self.recurrence.interval * _STEPS[self.recurrence.frequency]
            return (moment - self.start_time) // step + 1
        # The last one in the moment's month or before it: only that one may start on either side of the moment.
        months = _place(moment // DAY)[0] - _place(self.start_time // DAY)[0]
        last = months // self.recurrence.interval
        return last if self.start_of(last) > moment else last + 1


def _months_later(moment: int, months: int) -> int:
    """The same time of the same day of a later month, or of its last day if it has no such day."""
    day, time = divmod(moment, DAY)
    month, day_of_month = _place(day)
    first = _first_day(month + months)
    length = _first_day(month + months + 1) - first
    return (first + min(day_of_month, length) - 1) * DAY + time


def _place(day: int) -> tuple[int, int]:
    """The month, counted from January 2000, and the day of the month of a day, counted from 1970."""
    cycle, rest = divmod(day - _CYCLE_START_DAY, _CYCLE_DAYS)
    place = date.fromordinal(date(_CYCLE_START, 1, 1).toordinal() + rest)
    return cycle * _CYCLE_MONTHS + (place.year - _CYCLE_START) * 12 + place.month - 1, place.day


def _first_day(month: int) -> int:
    """The first day, counted from 1970, of a month, counted from January 2000."""
    cycle, rest = divmod(month, _CYCLE_MONTHS)
    first = date(_CYCLE_START + rest // 12, rest % 12 + 1, 1)
    return first.toordinal() - date(1970, 1, 1).toordinal() + cycle * _CYCLE_DAYS
