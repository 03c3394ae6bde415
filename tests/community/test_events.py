"""Events: when they take place, expanded for any range, and what is read for it."""

import asyncio
import re
from typing import Any

import pytest
from bson import ObjectId
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from datalayer import Community
from datalayer.documents import Event, Recurrence
from datalayer.engine.clock import DAY, HOUR
from datalayer.engine.fields import MAX_INTEGER
from datalayer.engine.ids import new_object_id
from datalayer.engine.pages import encode_cursor
from datalayer.errors import InvalidCursorError, InvalidInputError, NotFoundError
from datalayer.ids import EventId
from datalayer.repositories import events
from datalayer.repositories.events import MAX_OCCURRENCES
from datalayer.repositories.shared.recurrence import Schedule
from datalayer.testing import Command, count_commands
from datalayer.testing.explained import statements
from tests.community.test_pages import read_all
from tests.community.world import people
from tests.seeding.invariants import violations

NOW = 1_000 * DAY


@pytest.fixture(autouse=True)
def _now(community: Community, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(community._connection, "now", lambda: NOW)


def row(start: int, length: int = HOUR, **fields: Any) -> dict[str, Any]:
    """An event as another service would write it."""
    plain = {"_id": new_object_id(), "title": "t", "startTime": start, "endTime": start + length, "rsvpCount": 0}
    return plain | {"createdAt": 1} | fields


async def event(community: Community, start: int, length: int = HOUR, **fields: Any) -> Event:
    """An event made by the repository."""
    return await community.events.create(title="t", start_time=start, end_time=start + length, **fields)


async def plan(community: Community, command: Command) -> tuple[int, int, set[str]]:
    """The keys and the documents that a command examined, and the stages of its plan."""
    (plain,) = statements(command.document)
    explained = await community.database.command("explain", plain, verbosity="executionStats")
    stats = explained["executionStats"]
    stages = set(re.findall(r"'stage': '(\w+)'", str(stats["executionStages"])))
    return stats["totalKeysExamined"], stats["totalDocsExamined"], stages


async def test_what_is_created_is_stored(community: Community) -> None:
    """Every field; nobody goes yet, and the end of a series is known."""
    weekly = Recurrence(frequency="weekly", interval=2, end_after=3)
    made = await community.events.create(
        title="Meetup",
        start_time=5 * DAY,
        end_time=5 * DAY + HOUR,
        description="d",
        description_html="<p>d</p>",
        location="here",
        capacity=3,
        cover_storage_id="cover",  # type: ignore[arg-type]
        recurrence=weekly,
    )
    assert await community.events.get(made.id) == made
    assert (made.rsvp_count, made.created_at, made.recurrence) == (0, NOW, weekly)
    assert made.series_end_time == 5 * DAY + 28 * DAY + HOUR
    stored = await community.database.events.find_one({"_id": made.id})
    assert stored is not None
    assert stored["recurrence"] == {"frequency": "weekly", "interval": 2, "endAfter": 3}
    by_mapping = await event(community, 1, recurrence={"frequency": "daily", "interval": 1, "endDate": DAY})
    assert by_mapping.recurrence == Recurrence(frequency="daily", interval=1, end_date=DAY)
    once = await event(community, DAY, recurrence={"frequency": "daily", "interval": 1, "endDate": DAY})
    assert once.series_end_time == DAY + HOUR


BAD_TIMES: list[tuple[dict[str, Any], str]] = [
    ({"end_time": 4 * DAY}, "end_time"),
    ({"end_time": 5 * DAY}, "end_time"),
    ({"start_time": 6 * DAY}, "end_time"),
    ({"start_time": -1}, "start_time"),
    ({"start_time": 1.5}, "start_time"),
    ({"end_time": MAX_INTEGER + 1}, "end_time"),
    ({"end_time": "2024-01-01"}, "end_time"),
    ({"capacity": -1}, "capacity"),
    ({"title": " "}, "title"),
    ({"recurrence": {"frequency": "daily", "interval": 0}}, "recurrence.interval"),
    ({"recurrence": Recurrence.model_construct(frequency="daily", interval=0)}, "recurrence.interval"),
    ({"recurrence": Recurrence.model_construct(frequency="daily")}, "recurrence.interval"),
    ({"recurrence": {"frequency": "yearly", "interval": 1}}, "recurrence.frequency"),
    ({"recurrence": {"frequency": "daily", "interval": 1, "end_after": 0}}, "recurrence.end_after"),
    ({"recurrence": {"frequency": "daily", "interval": 1, "$where": "1"}}, "recurrence"),
    ({"recurrence": "daily"}, "recurrence"),
    ({"recurrence": Recurrence(frequency="daily", interval=1, end_date=9 * DAY, end_after=2)}, "recurrence"),
    ({"recurrence": Recurrence(frequency="daily", interval=1, end_date=5 * DAY - 1)}, "recurrence.end_date"),
]


@pytest.mark.parametrize(("fields", "field"), BAD_TIMES)
async def test_an_event_that_cannot_take_place_is_bad_input(
    community: Community, fields: dict[str, Any], field: str
) -> None:
    """At the creation and at an update, where nothing is changed then."""
    good = {"title": "t", "start_time": 5 * DAY, "end_time": 5 * DAY + HOUR}
    with pytest.raises(InvalidInputError) as error:
        await community.events.create(**{**good, **fields})
    assert error.value.field == field
    assert await community.database.events.count_documents({}) == 0
    made = await community.events.create(**good)  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError) as error:
        await community.events.update(made.id, **fields)
    assert error.value.field == field
    assert await community.events.get(made.id) == made


async def test_an_update_changes_what_it_names(community: Community) -> None:
    """What is left out stays, `None` removes, and the end of the series follows the times."""
    made = await event(community, 5 * DAY, location="here", capacity=2, description="d")
    changed = await community.events.update(made.id, title="new", location=None, description="e")
    assert changed == made.model_copy(update={"title": "new", "location": None, "description": "e"})
    stored = await community.database.events.find_one({"_id": made.id})
    assert stored is not None
    assert "location" not in stored
    daily = Recurrence(frequency="daily", interval=1, end_after=3)
    assert (await community.events.update(made.id, recurrence=daily)).series_end_time == 7 * DAY + HOUR
    later = await community.events.update(made.id, end_time=5 * DAY + 2 * HOUR, capacity=None)
    assert (later.series_end_time, later.capacity, later.recurrence) == (7 * DAY + 2 * HOUR, None, daily)
    assert await community.events.update(made.id) == later
    moved = await community.events.update(made.id, start_time=50 * DAY, end_time=51 * DAY)
    assert (moved.start_time, moved.series_end_time) == (50 * DAY, 53 * DAY)
    endless = await community.events.update(made.id, recurrence=Recurrence(frequency="monthly", interval=1))
    assert endless.series_end_time is None
    single = await community.events.update(made.id, recurrence=None)
    assert (single.recurrence, single.series_end_time) == (None, None)
    assert await community.events.get(made.id) == single


async def test_an_update_is_checked_against_what_is_stored(community: Community) -> None:
    """Each change alone is right, both together are not: one of two at once is refused, whichever is second."""
    for _ in range(5):
        made = await event(community, 5 * DAY, 5 * DAY)
        results = await asyncio.gather(
            community.events.update(made.id, start_time=8 * DAY),
            community.events.update(made.id, end_time=7 * DAY),
            return_exceptions=True,
        )
        assert {type(result) for result in results} == {Event, InvalidInputError}
        found = await community.events.get(made.id)
        assert found.start_time < found.end_time


async def test_the_capacity_is_not_lowered_below_those_going(community: Community) -> None:
    """By the update itself: also while people come."""
    made = await event(community, NOW + DAY)
    users = await people(community, 6)
    for user in users[:3]:
        await community.rsvps.set(user.id, made.id, "going")
    for times in ({}, {"end_time": NOW + 3 * DAY}):
        with pytest.raises(InvalidInputError, match=r"^capacity: .*going, 3"):
            await community.events.update(made.id, title="new", capacity=2, **times)  # type: ignore[arg-type]
    assert (await community.events.get(made.id)).title == "t"
    assert (await community.events.update(made.id, capacity=3)).capacity == 3
    await community.events.update(made.id, capacity=None)
    await asyncio.gather(
        *(community.rsvps.set(user.id, made.id, "going") for user in users),
        *(community.events.update(made.id, capacity=4) for _ in range(3)),
        return_exceptions=True,
    )
    assert await violations(community.database) == []


async def test_a_deleted_event_is_not_there(community: Community) -> None:
    """It is found only where it is asked for, and comes back as it was."""
    made = await event(community, NOW + DAY)
    over = await event(community, NOW - DAY)
    for item in (made, over):
        await community.events.delete(item.id)
        assert await community.events.find(item.id) is None
        with pytest.raises(NotFoundError):
            await community.events.delete(item.id)
        with pytest.raises(NotFoundError):
            await community.events.update(item.id, title="new")
        with pytest.raises(NotFoundError):
            await community.events.update(item.id, capacity=0)
        with pytest.raises(NotFoundError):
            await community.events.update(item.id, start_time=0)
    assert await community.events.between(0, 2 * NOW) == []
    assert (await community.events.upcoming()).items == (await community.events.past()).items == []
    assert (await community.events.get(made.id, include_deleted=True)).deleted_at == NOW
    assert await community.events.restore(made.id) == made
    assert (await community.events.upcoming()).items == [made]
    with pytest.raises(NotFoundError):
        await community.events.restore(EventId(ObjectId()))


@pytest.mark.quick("events")
async def test_a_range_is_half_open(community: Community) -> None:
    """What ends when it begins, or begins when it ends, is outside; what overlaps it has its own times."""
    before = await event(community, 8 * DAY, DAY)
    around = await event(community, 8 * DAY, 10 * DAY)
    inside = await event(community, 9 * DAY, HOUR)
    series = await event(community, DAY - HOUR, 2 * HOUR, recurrence=Recurrence(frequency="daily", interval=8))
    after = await event(community, 10 * DAY, HOUR)
    found = await community.events.between(9 * DAY, 10 * DAY)
    assert [(item.event.id, item.start_time, item.end_time) for item in found] == [
        (around.id, 8 * DAY, 18 * DAY),
        (series.id, 9 * DAY - HOUR, 9 * DAY + HOUR),
        (inside.id, 9 * DAY, 9 * DAY + HOUR),
    ]
    assert found[1].event == series
    everything = await community.events.between(0, 20 * DAY)
    assert {item.event.id for item in everything} == {item.id for item in (before, around, inside, series, after)}
    assert sum(item.event.id == series.id for item in everything) == 3
    keys = [(item.start_time, item.event.id) for item in everything]
    assert keys == sorted(keys)


@pytest.mark.parametrize(("start", "end"), [(5, 5), (6, 5), (-1, 5), (0, MAX_INTEGER + 1), ("1", 5), (1.5, 2)])
async def test_a_bad_range_is_bad_input(community: Community, start: Any, end: Any) -> None:
    with pytest.raises(InvalidInputError, match=r"^(start|end): "):
        await community.events.between(start, end)


async def test_an_endless_number_of_occurrences_is_refused(community: Community) -> None:
    """Without counting them one by one: a daily series over 285,000 years, and one more than the limit."""
    await event(community, 0, recurrence=Recurrence(frequency="daily", interval=1))
    with pytest.raises(InvalidInputError, match=r"^end: .*10,000"):
        await community.events.between(0, MAX_INTEGER)
    with pytest.raises(InvalidInputError, match=r"^end: "):
        await community.events.between(0, MAX_OCCURRENCES * DAY + 1)
    assert len(await community.events.between(0, MAX_OCCURRENCES * DAY)) == MAX_OCCURRENCES
    found = await community.events.between(MAX_INTEGER - DAY, MAX_INTEGER)
    assert [item.start_time for item in found] == [MAX_INTEGER // DAY * DAY]


async def test_a_range_reads_no_more_events_than_it_may_give(
    community: Community, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many single ones as there may be, and one more to know that there are too many; but every series."""
    monkeypatch.setattr(events, "MAX_OCCURRENCES", 3)
    made = [await event(community, NOW + number) for number in range(3)]
    # All of these go on, but only the last one takes place in the range.
    weekly = {"frequency": "weekly", "interval": 1}
    series = [row(NOW - number * DAY, recurrence=weekly) for number in (4, 3, 2, 1, 0)]
    await community.database.events.insert_many(series[:4])
    assert [item.event for item in await community.events.between(NOW, NOW + DAY)] == made
    await community.database.events.insert_one(series[4])
    await community.events.delete(made[0].id)
    found = await community.events.between(NOW, NOW + DAY)
    assert [item.event.id for item in found] == [series[4]["_id"], made[1].id, made[2].id]
    await community.database.events.insert_many(row(NOW) for _ in range(9))
    with count_commands(community) as commands, pytest.raises(InvalidInputError, match=r"^end: "):
        await community.events.between(NOW, NOW + DAY)
    single, _ = commands
    assert (await plan(community, single))[1] == 4


rows = st.lists(
    st.tuples(
        st.integers(0, 12),
        st.integers(1, 6),
        st.sampled_from(["daily", "weekly", "monthly", None]),
        st.integers(1, 2),
        st.sampled_from(["end_after", "end_date", None]),
        st.integers(1, 4),
        st.booleans(),
    ),
    max_size=8,
)


@settings(max_examples=settings().max_examples // 2, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(drawn=rows, low=st.integers(0, 40), width=st.integers(1, 20), limit=st.integers(1, 4))
async def test_lists_are_those_of_all_events(
    community: Community, drawn: list[tuple[Any, ...]], low: int, width: int, limit: int
) -> None:
    """A range, what is over and what is not, against the same computed from every event; some deleted, some alike."""
    await community.database.events.delete_many({})
    start = NOW - 20 * DAY
    made: list[Event] = []
    for begins, length, frequency, interval, limited, last, deleted in drawn:
        repeats: dict[str, Any] | None = None
        if frequency is not None:
            repeats = {"frequency": frequency, "interval": interval}
            first = start + begins * 3 * DAY
            repeats |= {"end_after": {"end_after": last}, "end_date": {"end_date": first + last * 9 * DAY}}.get(
                limited, {}
            )
        item = await event(community, start + begins * 3 * DAY, length * DAY, recurrence=repeats)
        if deleted and begins % 3 == 0:
            await community.events.delete(item.id)
        else:
            made.append(item)
    low, high = start + low * DAY, start + (low + width) * DAY
    expected = [
        (Schedule.of(item).start_of(n), item.id) for item in made for n in Schedule.of(item).overlapping(low, high)
    ]
    found = await community.events.between(low, high)
    assert [(item.start_time, item.event.id) for item in found] == sorted(expected)
    over = {item.id: Schedule.of(item).over_at for item in made}
    upcoming = sorted(
        (item for item in made if not Schedule.of(item).is_over(NOW)), key=lambda item: (item.start_time, item.id)
    )
    past = sorted(
        (item for item in made if Schedule.of(item).is_over(NOW)),
        key=lambda item: (over[item.id] or 0, item.start_time, item.id),
        reverse=True,
    )
    assert await read_all(community.events.upcoming, limit=limit) == upcoming
    assert await read_all(community.events.past, limit=limit) == past


async def test_what_ends_now_is_over(community: Community) -> None:
    """To the millisecond, for events and series; what starts now is not."""
    over = await event(community, NOW - HOUR)
    running = await event(community, NOW - HOUR + 1)
    starting = await event(community, NOW)
    twice = Recurrence(frequency="daily", interval=1, end_after=2)
    series_over = await event(community, NOW - HOUR - DAY, recurrence=twice)
    series_on = await event(community, NOW - HOUR - DAY + 1, recurrence=twice)
    assert (await community.events.past()).items == [over, series_over]
    assert (await community.events.upcoming()).items == [series_on, running, starting]


async def test_a_series_of_another_service_is_expanded_right(community: Community) -> None:
    """One that lacks the end of the series, which only this library keeps, and numbers as doubles."""
    repeats = {"frequency": "daily", "interval": 1.0, "endAfter": 3.0}
    await community.database.events.insert_one(row(NOW - 10 * DAY, recurrence=repeats))
    assert len(await community.events.between(0, 2 * NOW)) == 3
    assert await community.events.between(NOW - 7 * DAY, 2 * NOW) == []


async def test_pages_are_stable_while_time_goes_on(community: Community, monkeypatch: pytest.MonkeyPatch) -> None:
    """An event that starts between two pages is neither repeated nor skipped; nor is the item at the cursor missed."""
    made = [await event(community, NOW + number * HOUR, 5 * DAY) for number in range(-3, 6)]
    first = await community.events.upcoming(limit=4)
    monkeypatch.setattr(community._connection, "now", lambda: NOW + 2 * HOUR)
    await community.events.delete(first.items[-1].id)
    rest = await community.events.upcoming(limit=100, after=first.next)
    assert [item.id for item in (*first.items, *rest.items)] == [item.id for item in made]
    assert rest.next is None


async def test_cursors_are_checked(community: Community) -> None:
    """One of the other list, a damaged one, and a forged one whose position is no time."""
    for number in range(3):
        await event(community, NOW + number)
        await event(community, NOW - DAY - number)
    upcoming, past = (await community.events.upcoming(limit=1)).next, (await community.events.past(limit=1)).next
    with pytest.raises(InvalidCursorError):
        await community.events.upcoming(after=past)
    with pytest.raises(InvalidCursorError):
        await community.events.past(after=upcoming)
    for position in (["x", ObjectId()], [5, 5], [None, None]):
        with pytest.raises(InvalidCursorError):
            await community.events.upcoming(after=encode_cursor(("events", "upcoming"), position))  # type: ignore[arg-type]


async def test_only_events_of_the_range_are_read(community: Community) -> None:
    """3,000 others, before and after, single and repeating, deleted or not, cost no document; two round trips."""
    over = {"frequency": "daily", "interval": 1, "endAfter": 2}
    others = [row(number * DAY) for number in range(1_000) if number not in (500, 501)]
    others += [row(number * DAY, deletedAt=1) for number in range(400, 600)]
    others += [
        row(number * DAY, recurrence=over, seriesEndTime=(number + 1) * DAY + HOUR)
        for number in range(1_000)
        if number not in (499, 500, 501)
    ]
    endless = {"frequency": "weekly", "interval": 1}
    others += [row((number + 600) * DAY, recurrence=endless) for number in range(800)]
    # On the range's edges.
    others += [row(500 * DAY - HOUR), row(500 * DAY + 12 * HOUR), row(500 * DAY + 12 * HOUR, recurrence=endless)]
    others.append(row(498 * DAY, 2 * DAY))
    await community.database.events.insert_many(others)
    inside = [row(500 * DAY), row(0, 900 * DAY), row(499 * DAY, recurrence=over, seriesEndTime=500 * DAY + HOUR)]
    inside += [row(4 * DAY, recurrence=endless)]  # goes on, but is on another day of the week

    await community.database.events.insert_many(inside)
    with count_commands(community) as commands:
        found = await community.events.between(500 * DAY, 500 * DAY + 12 * HOUR)
    assert {item.event.id for item in found} == {item["_id"] for item in inside[:3]}
    assert [command.name for command in commands] == ["find", "find"]
    documents = 0
    for command in commands:
        keys, docs, stages = await plan(community, command)
        documents += docs
        assert keys < 1_100
        assert not {"SORT", "COLLSCAN"} & stages
    assert documents == len(inside)


async def test_lists_of_events_cost_the_same_at_any_depth(community: Community) -> None:
    """At most three round trips, and documents for the page and for what goes on at this moment only."""
    over = {"frequency": "daily", "interval": 1, "endAfter": 1}
    many = [row(NOW + (number - 1_000) * HOUR) for number in range(2_000)]
    many += [
        row(NOW + (number - 1_000) * HOUR, recurrence=over, seriesEndTime=NOW + (number - 999) * HOUR)
        for number in range(0, 2_000, 5)
    ]
    many += [row(DAY, recurrence={"frequency": "daily", "interval": 1}) for _ in range(5)]
    await community.database.events.insert_many(many)
    for lister in (community.events.upcoming, community.events.past):
        after = None
        for _ in range(8):
            with count_commands(community) as commands:
                page = await lister(limit=100, after=after)
            assert len(commands) <= 3
            documents = 0
            for command in commands:
                _, docs, stages = await plan(community, command)
                documents += docs
                assert not {"SORT", "COLLSCAN"} & stages
            assert documents <= 2 * 101 + 6
            after = page.next
