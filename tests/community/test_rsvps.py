"""RSVPs: never more people than seats, and a counter that is exact."""

import asyncio
from typing import Any

import pytest
from bson import ObjectId

from datalayer import Community
from datalayer.documents import Event, Recurrence
from datalayer.engine.clock import DAY, HOUR
from datalayer.errors import EventFullError, EventOverError, InvalidInputError, NotFoundError
from datalayer.ids import EventId, RsvpId, UserId
from datalayer.repositories.rsvps import RsvpCounts, RsvpResult
from datalayer.testing import count_commands
from tests.commands import keys_and_stages
from tests.community.test_pages import read_all
from tests.community.world import people, person
from tests.seeding.invariants import violations


class Now:
    """A clock that stands."""

    def __init__(self) -> None:
        self.time = 1_000 * DAY

    def __call__(self) -> int:
        """The time that was set."""
        return self.time


@pytest.fixture
def now(community: Community, monkeypatch: pytest.MonkeyPatch) -> Now:
    """The community's clock."""
    clock = Now()
    monkeypatch.setattr(community._connection, "now", clock)
    return clock


async def party(community: Community, capacity: int | None = None, **fields: Any) -> Event:
    """An event of tomorrow."""
    start = community._connection.now() + DAY
    return await community.events.create(
        title="Party", start_time=start, end_time=start + HOUR, capacity=capacity, **fields
    )


async def test_the_last_seats_go_to_as_many_as_there_are(community: Community) -> None:
    """200 people ask for 50 seats at once: exactly 50 go, the counter says so, the others are told why they do not."""
    users, event = await people(community, 200), await party(community, 50)
    with count_commands(community) as commands:
        results = await asyncio.gather(
            *(community.rsvps.set(user.id, event.id, "going") for user in users), return_exceptions=True
        )
    assert sum(isinstance(result, EventFullError) for result in results) == 150
    going = [result for result in results if not isinstance(result, BaseException)]
    assert len({result.rsvp.id for result in going if result.newly}) == len(going) == 50
    assert (await community.events.get(event.id)).rsvp_count == 50
    assert await community.rsvps.counts(event.id) == RsvpCounts(50, 0, 0)
    assert await violations(community.database) == []
    assert len(commands) < 30


async def test_two_processes_share_the_seats(community: Community) -> None:
    """What one cannot know of the other's group: conflicts are tried again, and no seat is given twice."""
    async with Community.over(community.database, schema="skip") as other:
        users, event = await people(community, 40), await party(community, 10)
        results = await asyncio.gather(
            *((community, other)[n % 2].rsvps.set(user.id, event.id, "going") for n, user in enumerate(users)),
            return_exceptions=True,
        )
    assert sum(isinstance(result, EventFullError) for result in results) == 30
    assert (await community.events.get(event.id)).rsvp_count == 10
    assert await violations(community.database) == []


async def test_an_answer_can_be_changed(community: Community, now: Now) -> None:
    """It stays one document; only a change moves `updatedAt` and is new, and only `going` counts."""
    user, event = await person(community), await party(community)
    result = await community.rsvps.set(user.id, event.id, "going")
    first = result.rsvp
    assert result.newly
    made = now.time
    assert (first.created_at, first.updated_at, first.status) == (made, made, "going")
    now.time += 5
    assert await community.rsvps.set(user.id, event.id, "going") == RsvpResult(first, newly=False)
    assert (await community.events.get(event.id)).rsvp_count == 1
    result = await community.rsvps.set(user.id, event.id, "maybe")
    second = result.rsvp
    assert result.newly
    assert second == first.model_copy(update={"status": "maybe", "updated_at": made + 5})
    assert (await community.events.get(event.id)).rsvp_count == 0
    assert await community.rsvps.for_pair(user.id, event.id) == second == await community.rsvps.get(first.id)
    await community.rsvps.set(user.id, event.id, "notGoing")
    assert await community.rsvps.counts(event.id) == RsvpCounts(0, 0, 1)
    assert await community.database.rsvps.count_documents({}) == 1


@pytest.mark.quick("rsvps")
async def test_a_seat_that_is_given_back_can_be_taken(community: Community) -> None:
    """By another answer, by a withdrawal, by a deletion; and who has no seat may still say maybe."""
    one, two = await people(community, 2)
    event = await party(community, 1)
    mine = (await community.rsvps.set(one.id, event.id, "going")).rsvp
    with pytest.raises(EventFullError):
        await community.rsvps.set(two.id, event.id, "going")
    assert await community.rsvps.for_pair(two.id, event.id) is None
    assert (await community.rsvps.set(two.id, event.id, "maybe")).rsvp.status == "maybe"
    with pytest.raises(EventFullError):
        await community.rsvps.set(two.id, event.id, "going")
    assert (await community.rsvps.set(one.id, event.id, "going")).rsvp == mine
    await community.rsvps.set(one.id, event.id, "maybe")
    taken = (await community.rsvps.set(two.id, event.id, "going")).rsvp
    assert await community.rsvps.withdraw(two.id, event.id) is True
    assert await community.rsvps.withdraw(two.id, event.id) is False
    again = (await community.rsvps.set(two.id, event.id, "going")).rsvp
    assert again.id != taken.id
    await community.rsvps.delete(again.id)
    with pytest.raises(NotFoundError):
        await community.rsvps.delete(again.id)
    await community.rsvps.set(one.id, event.id, "going")
    undecided = (await community.rsvps.set(two.id, event.id, "maybe")).rsvp
    await community.rsvps.delete(undecided.id)
    assert (await community.events.get(event.id)).rsvp_count == 1
    assert await violations(community.database) == []


async def test_an_event_without_seats_takes_nobody(community: Community) -> None:
    user, event = await person(community), await party(community, 0)
    with pytest.raises(EventFullError):
        await community.rsvps.set(user.id, event.id, "going")
    assert await violations(community.database) == []


async def test_anything_at_once_keeps_the_counter(community: Community) -> None:
    """The same few people answer, change and withdraw in a heap, while rows are deleted."""
    users, event = await people(community, 6), await party(community, 3)
    row = (await community.rsvps.set(users[0].id, event.id, "going")).rsvp
    wishes = ("going", "maybe", None, "notGoing", "going", None)

    async def answer(number: int) -> None:
        user, wish = users[number % 6], wishes[(number // 6 + number) % 6]
        if wish is None:
            await community.rsvps.withdraw(user.id, event.id)
        else:
            await community.rsvps.set(user.id, event.id, wish)  # type: ignore[arg-type]

    results = await asyncio.gather(
        *(answer(number) for number in range(90)), community.rsvps.delete(row.id), return_exceptions=True
    )
    assert all(result is None or isinstance(result, EventFullError | NotFoundError) for result in results)
    assert await violations(community.database) == []


async def test_withdrawn_and_given_again_in_one_group(community: Community) -> None:
    """The new answer takes the place of the old one, in the same commit."""
    user, event = await person(community), await party(community)
    old = (await community.rsvps.set(user.id, event.id, "going")).rsvp
    _, withdrawn, new = await asyncio.gather(
        community.rsvps.set(user.id, event.id, "going"),
        community.rsvps.withdraw(user.id, event.id),
        community.rsvps.set(user.id, event.id, "going"),
    )
    assert withdrawn is True
    assert (new.newly, new.rsvp.id != old.id) == (True, True)
    assert await community.rsvps.for_pair(user.id, event.id) == new.rsvp
    assert await violations(community.database) == []


async def test_nothing_changes_after_the_end(community: Community, now: Now) -> None:
    """From the very millisecond; a series ends with its last occurrence, an endless one never."""
    user, event = await person(community), await party(community)
    weekly = Recurrence(frequency="weekly", interval=1, end_after=2)
    series = await party(community, recurrence=weekly)
    endless = await party(community, recurrence=Recurrence(frequency="weekly", interval=1))
    now.time = event.end_time - 1
    mine = (await community.rsvps.set(user.id, event.id, "going")).rsvp
    now.time = event.end_time
    for attempt in (
        community.rsvps.set(user.id, event.id, "maybe"),
        community.rsvps.set(user.id, event.id, "going"),
        community.rsvps.withdraw(user.id, event.id),
    ):
        with pytest.raises(EventOverError):
            await attempt
    assert await community.rsvps.get(mine.id) == mine
    await community.rsvps.set(user.id, series.id, "going")
    now.time += 7 * DAY
    with pytest.raises(EventOverError):
        await community.rsvps.set(user.id, series.id, "maybe")
    await community.rsvps.set(user.id, endless.id, "going")
    await community.rsvps.delete(mine.id)
    assert (await community.events.get(event.id)).rsvp_count == 0


async def test_who_answers_and_to_what_must_exist(community: Community) -> None:
    """A missing or deleted event, a missing user; one user's mistake is not the others'."""
    user, event = await person(community), await party(community)
    nobody, nothing = UserId(ObjectId()), EventId(ObjectId())
    results = await asyncio.gather(
        community.rsvps.set(user.id, event.id, "going"),
        community.rsvps.set(nobody, event.id, "going"),
        community.rsvps.set(user.id, event.id, "maybe"),
        return_exceptions=True,
    )
    assert [isinstance(result, NotFoundError) for result in results] == [False, True, False]
    for attempt in (community.rsvps.set(user.id, nothing, "going"), community.rsvps.withdraw(user.id, nothing)):
        with pytest.raises(NotFoundError, match="Event"):
            await attempt
    mine = (await community.rsvps.set(user.id, event.id, "going")).rsvp
    await community.events.delete(event.id)
    for attempt in (community.rsvps.set(user.id, event.id, "maybe"), community.rsvps.withdraw(user.id, event.id)):
        with pytest.raises(NotFoundError, match="Event"):
            await attempt
    assert (await community.rsvps.attendees(event.id)).items == (await community.rsvps.for_user(user.id)).items == []
    await community.events.restore(event.id)
    assert (await community.rsvps.attendees(event.id)).items == [mine]
    assert (await community.rsvps.for_user(user.id)).items == [mine]
    with pytest.raises(NotFoundError):
        await community.rsvps.delete(RsvpId(ObjectId()))
    assert await community.rsvps.withdraw(nobody, event.id) is False
    going = (await community.rsvps.set(user.id, event.id, "going")).rsvp
    await community.events.delete(event.id)
    await community.rsvps.delete(going.id)
    assert (await community.events.restore(event.id)).rsvp_count == 0


async def test_answers_belong_to_the_transaction_that_is_open(community: Community) -> None:
    """They happen with it, or not at all; a rule's error is raised there and then."""
    one, two = await people(community, 2)
    event = await party(community, 1)

    async def work(*, fail: bool) -> None:
        await community.rsvps.set(one.id, event.id, "going")
        assert (await community.events.get(event.id)).rsvp_count == 1
        with pytest.raises(EventFullError):
            await community.rsvps.set(two.id, event.id, "going")
        if fail:
            raise NotFoundError

    with pytest.raises(NotFoundError):
        await community.transaction(lambda: work(fail=True))
    assert await community.rsvps.for_pair(one.id, event.id) is None
    await community.transaction(lambda: work(fail=False))
    assert await community.rsvps.counts(event.id) == RsvpCounts(1, 0, 0)
    assert await violations(community.database) == []


async def test_lists_of_answers(community: Community) -> None:
    """By event and status, and by user; newest first, in pages; what they cost."""
    users, event = await people(community, 12), await party(community)
    statuses = ("going", "maybe", "notGoing")
    made = [(await community.rsvps.set(user.id, event.id, statuses[n % 3])).rsvp for n, user in enumerate(users)]  # type: ignore[arg-type]
    assert await community.rsvps.counts(event.id) == RsvpCounts(4, 4, 4)
    for number, status in enumerate(statuses):
        expected = [rsvp for rsvp in made[::-1] if rsvp.status == status]
        assert await read_all(community.rsvps.attendees, event.id, status=status, limit=2) == expected
        assert expected[0] == made[9 + number]
    others = [await party(community) for _ in range(5)]
    mine = [made[0]] + [(await community.rsvps.set(users[0].id, other.id, "maybe")).rsvp for other in others]
    await community.events.delete(others[2].id)
    assert await read_all(community.rsvps.for_user, users[0].id, limit=2) == [mine[n] for n in (5, 4, 2, 1, 0)]
    with count_commands(community) as commands:
        await community.rsvps.attendees(event.id)
        await community.rsvps.for_user(users[0].id)
        await community.rsvps.counts(event.id)
        await community.rsvps.for_pair(users[0].id, event.id)
    assert len(commands) == 5
    for command in commands:
        keys, stages = await keys_and_stages(community.database, command)
        assert keys <= 12
        assert not {"SORT", "COLLSCAN"} & stages
    _, stages = await keys_and_stages(community.database, commands[3])
    assert "FETCH" not in stages


@pytest.mark.parametrize("status", ["yes", "not_going", "", None, 1, {"$ne": "going"}])
async def test_a_bad_status_is_bad_input(community: Community, status: Any) -> None:
    with pytest.raises(InvalidInputError, match=r"^status: "):
        await community.rsvps.set(UserId(ObjectId()), EventId(ObjectId()), status)
    with pytest.raises(InvalidInputError, match=r"^status: "):
        await community.rsvps.attendees(EventId(ObjectId()), status=status)
