"""When an event takes place: calendar arithmetic in UTC.

Nothing here iterates over occurrences: the first one of a range, and their number, come from a division. So an event
that has repeated daily since 1970 costs the same as one of this week. Times are Unix milliseconds, and years have no
upper limit.
"""

from dataclasses import dataclass
from datetime import date
from typing import Protocol

from datalayer.documents.events import Recurrence
from datalayer.engine.clock import DAY
from datalayer.engine.fields import MAX_INTEGER

_STEPS = {"daily": DAY, "weekly": 7 * DAY}

# The calendar repeats every 400 years. `date` ends at the year 9999, so it is used for one of those cycles only.
_CYCLE_START = 2000
_CYCLE_MONTHS = 400 * 12
_CYCLE_DAYS = 146_097
_CYCLE_START_DAY = date(_CYCLE_START, 1, 1).toordinal() - date(1970, 1, 1).toordinal()


class Dated(Protocol):
    """Something with a first occurrence that may recur: an event."""

    start_time: int
    end_time: int
    recurrence: Recurrence | None


@dataclass(frozen=True, slots=True)
class Schedule:
    """The occurrences of an event, numbered from 0.

    Daily and weekly occurrences have a constant distance. Monthly ones have the day of the month of the first one, or
    in shorter months the last day. Each is counted from the first: January 31 and February 28 are followed by March 31.
    """

    start_time: int
    end_time: int
    recurrence: Recurrence | None

    @classmethod
    def of(cls, event: Dated) -> "Schedule":
        """Return the event's schedule."""
        return cls(event.start_time, event.end_time, event.recurrence)

    @property
    def count(self) -> int | None:
        """The total number of occurrences, at least one; `None` if the series has no end."""
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
        """The end of the last occurrence; `None` if there is none, or if it is later than a timestamp can express."""
        count = self.count
        if count is None:
            return None
        end = self.start_of(count - 1) + self.end_time - self.start_time
        return end if end <= MAX_INTEGER else None

    def is_over(self, now: int) -> bool:
        """Return whether the last occurrence has ended."""
        return self.over_at is not None and self.over_at <= now

    def start_of(self, number: int) -> int:
        """Return the start of an occurrence."""
        if self.recurrence is None or number == 0:
            return self.start_time
        steps = number * self.recurrence.interval
        if self.recurrence.frequency == "monthly":
            return _months_later(self.start_time, steps)
        return self.start_time + steps * _STEPS[self.recurrence.frequency]

    def overlapping(self, start: int, end: int) -> range:
        """Return the numbers of the occurrences that overlap the half-open range."""
        first = self._first_after(start - (self.end_time - self.start_time))
        behind = self._first_after(end - 1)
        return range(first, behind if self.count is None else min(behind, self.count))

    def _first_after(self, moment: int) -> int:
        """Return the number of the first occurrence that starts after a moment, as if the series had no end."""
        if moment < self.start_time:
            return 0
        if self.recurrence is None:
            return 1
        if self.recurrence.frequency != "monthly":
            step = self.recurrence.interval * _STEPS[self.recurrence.frequency]
            return (moment - self.start_time) // step + 1
        # The last occurrence up to the moment's month: only this one may start before or after the moment.
        months = _place(moment // DAY)[0] - _place(self.start_time // DAY)[0]
        last = months // self.recurrence.interval
        return last if self.start_of(last) > moment else last + 1


def _months_later(moment: int, months: int) -> int:
    """Return the same time and day in a later month, or the month's last day if it has no such day."""
    day, time = divmod(moment, DAY)
    month, day_of_month = _place(day)
    first = _first_day(month + months)
    length = _first_day(month + months + 1) - first
    return (first + min(day_of_month, length) - 1) * DAY + time


def _place(day: int) -> tuple[int, int]:
    """Return the month (from January 2000) and the day of the month of a day (from 1970)."""
    cycle, rest = divmod(day - _CYCLE_START_DAY, _CYCLE_DAYS)
    place = date.fromordinal(date(_CYCLE_START, 1, 1).toordinal() + rest)
    return cycle * _CYCLE_MONTHS + (place.year - _CYCLE_START) * 12 + place.month - 1, place.day


def _first_day(month: int) -> int:
    """Return the first day (from 1970) of a month (from January 2000)."""
    cycle, rest = divmod(month, _CYCLE_MONTHS)
    first = date(_CYCLE_START + rest // 12, rest % 12 + 1, 1)
    return first.toordinal() - date(1970, 1, 1).toordinal() + cycle * _CYCLE_DAYS
