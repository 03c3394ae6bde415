"""The calendar's arithmetic against a model that steps through it."""

import time
from datetime import UTC, datetime, timedelta
from itertools import count, takewhile
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datalayer.documents import Recurrence
from datalayer.engine.clock import DAY, HOUR
from datalayer.engine.fields import MAX_INTEGER
from datalayer.repositories.shared.recurrence import Schedule

pytestmark = pytest.mark.quick

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def at(text: str) -> int:
    """Milliseconds of an ISO date or time."""
    return (datetime.fromisoformat(text).replace(tzinfo=UTC) - EPOCH) // timedelta(milliseconds=1)


def starts(schedule: Schedule, start: str, end: str) -> list[str]:
    """The dates in a range."""
    numbers = schedule.overlapping(at(start), at(end))
    return [(EPOCH + timedelta(milliseconds=schedule.start_of(n))).date().isoformat() for n in numbers]


def _steps(start: int, recurrence: Recurrence | None) -> Any:
    """Every occurrence's start from the first on, one after the other, by `datetime`."""
    if recurrence is None:
        yield start
        return
    first = EPOCH + timedelta(milliseconds=start)
    for number in count():
        steps = number * recurrence.interval
        if recurrence.frequency == "monthly":
            year, month = divmod(first.month - 1 + steps, 12)
            day = first.day
            while True:
                try:
                    moment = first.replace(year=first.year + year, month=month + 1, day=day)
                    break
                except ValueError:
                    day -= 1
        else:
            moment = first + timedelta(days=steps * (7 if recurrence.frequency == "weekly" else 1))
        if number and recurrence.end_date is not None and moment > EPOCH + timedelta(milliseconds=recurrence.end_date):
            return
        if recurrence.end_after is not None and number >= recurrence.end_after:
            return
        yield (moment - EPOCH) // timedelta(milliseconds=1)


moments = st.integers(at("1970-01-01"), at("2030-01-01"))
recurrences = st.builds(
    Recurrence,
    frequency=st.sampled_from(["daily", "weekly", "monthly"]),
    interval=st.integers(1, 14),
    end_date=st.none() | st.integers(at("1970-01-01"), at("2035-01-01")),
    end_after=st.none() | st.integers(1, 40),
)


@given(
    start=moments,
    length=st.integers(1, 3 * HOUR) | st.integers(1, 100 * DAY),
    recurrence=st.none() | recurrences,
    offset=st.integers(-400 * DAY, 1_000 * DAY),
    width=st.integers(1, 200 * DAY),
)
def test_a_range_holds_what_stepping_finds(
    start: int, length: int, recurrence: Recurrence | None, offset: int, width: int
) -> None:
    """The occurrences that overlap any range, also long ones that overlap each other; and when the last one ends."""
    schedule = Schedule(start, start + length, recurrence)
    low = max(0, start + offset)
    high = low + width
    expected = [moment for moment in takewhile(lambda s: s < high, _steps(start, recurrence)) if moment + length > low]
    assert [schedule.start_of(n) for n in schedule.overlapping(low, high)] == expected
    if recurrence is not None and recurrence.end_date is None and recurrence.end_after is None:
        assert schedule.over_at is None
    elif recurrence is None or recurrence.end_after is not None:
        assert schedule.over_at == list(_steps(start, recurrence))[-1] + length


@given(start=moments, recurrence=recurrences, edge=st.integers(0, 30), shift=st.sampled_from([-1, 0, 1]))
def test_ranges_are_half_open(start: int, recurrence: Recurrence, edge: int, shift: int) -> None:
    """At the millisecond: a range that begins when an occurrence ends, or ends when it starts, is without it."""
    schedule = Schedule(start, start + HOUR, recurrence)
    moment = schedule.start_of(edge)
    exists = schedule.count is None or edge < schedule.count
    assert (edge in schedule.overlapping(moment + HOUR + shift, moment + HOUR + shift + 1)) == (shift < 0 and exists)
    assert (edge in schedule.overlapping(moment - 1 + shift, moment + shift)) == (shift > 0 and exists)


@given(start=moments, recurrence=recurrences)
def test_the_last_occurrence_starts_at_the_end_date_at_the_latest(start: int, recurrence: Recurrence) -> None:
    """An event takes place at least once; of the two limits the nearer one counts."""
    schedule = Schedule(start, start + 1, recurrence)
    if schedule.count is None or recurrence.end_date is None:
        return
    assert schedule.count >= 1
    assert schedule.count == 1 or schedule.start_of(schedule.count - 1) <= recurrence.end_date
    further = schedule.start_of(schedule.count) > recurrence.end_date
    assert further or schedule.count == recurrence.end_after


def test_months_are_counted_from_the_first_day() -> None:
    """The 31st is the last day of a shorter month, and the 31st again afterwards; leap years count."""
    schedule = Schedule(at("2023-12-31"), at("2023-12-31T01:00"), Recurrence(frequency="monthly", interval=1))
    assert starts(schedule, "2024-01-01", "2024-06-01") == [
        *("2024-01-31", "2024-02-29", "2024-03-31", "2024-04-30", "2024-05-31"),
    ]
    assert starts(schedule, "2025-02-01", "2025-04-01") == ["2025-02-28", "2025-03-31"]
    yearly = Schedule(at("2024-02-29"), at("2024-02-29T01:00"), Recurrence(frequency="monthly", interval=12))
    assert starts(yearly, "2024-01-01", "2029-01-01") == [
        *("2024-02-29", "2025-02-28", "2026-02-28", "2027-02-28", "2028-02-29"),
    ]


def test_every_second_week_until_a_date() -> None:
    """The occurrence that starts exactly at the end date is the last."""
    recurrence = Recurrence(frequency="weekly", interval=2, end_date=at("2025-02-03"))
    schedule = Schedule(at("2025-01-06"), at("2025-01-06T02:00"), recurrence)
    assert starts(schedule, "2025-01-01", "2026-01-01") == ["2025-01-06", "2025-01-20", "2025-02-03"]
    assert schedule.over_at == at("2025-02-03T02:00")
    assert [schedule.is_over(at("2025-02-03T02:00") + shift) for shift in (-1, 0, 1)] == [False, True, True]


@pytest.mark.parametrize("frequency", ["daily", "weekly", "monthly"])
@pytest.mark.parametrize("interval", [1, 5, MAX_INTEGER])
def test_the_largest_timestamps_are_no_problem(frequency: Any, interval: int) -> None:
    """Years far above 9999, with the arithmetic of the same calendar."""
    endless = Recurrence(frequency=frequency, interval=interval)
    for start in (0, MAX_INTEGER - 2):
        schedule = Schedule(start, start + HOUR, endless)
        found = schedule.overlapping(MAX_INTEGER - 100 * DAY, MAX_INTEGER)
        assert all(schedule.start_of(n) + HOUR > MAX_INTEGER - 100 * DAY for n in found)
        assert all(schedule.start_of(n) < MAX_INTEGER for n in found)
        assert schedule.over_at is None
    counted = Recurrence(frequency=frequency, interval=interval, end_after=MAX_INTEGER)
    assert Schedule(0, 1, counted).over_at is None
    assert Schedule(0, 1, Recurrence(frequency=frequency, interval=interval, end_date=MAX_INTEGER)).over_at is not None


def test_months_beyond_the_year_9999_are_those_of_400_years_before() -> None:
    cycle = at("2400-01-01") - at("2000-01-01")
    monthly = Recurrence(frequency="monthly", interval=1)
    early = Schedule(at("2024-01-31"), at("2024-01-31T01:00"), monthly)
    late = Schedule(at("2024-01-31") + 500 * cycle, at("2024-01-31T01:00") + 500 * cycle, monthly)
    assert [late.start_of(n) - 500 * cycle for n in range(50)] == [early.start_of(n) for n in range(50)]


def test_an_old_series_costs_nothing() -> None:
    """No stepping: a series of 20 billion occurrences is looked into as fast as a young one."""
    began = time.perf_counter()
    for frequency in ("daily", "weekly", "monthly"):
        recurrence = Recurrence(frequency=frequency, interval=1, end_date=MAX_INTEGER)  # type: ignore[arg-type]
        schedule = Schedule(0, HOUR, recurrence)
        for year in range(200):
            assert len(schedule.overlapping(year * 10**13, year * 10**13 + 70 * DAY)) in range(2, 72)
    assert time.perf_counter() - began < 1
