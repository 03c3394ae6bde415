"""Example calls: the events, and who comes to them."""

from typing import Any

from datalayer.engine.clock import DAY, HOUR
from tests.plans.calls import ALL_LEVELS, BOTH, Call, Cost, pages, promising
from tests.plans.world import World

LIMIT = 3

LATER: Cost = {"seeks": 60, "why": "a key for each event that ends later"}
LOOKED_UP: Cost = {"factor": 2, "why": "a seek in another table for each one"}


async def _newcomer(w: World) -> Any:
    return (await w.c.users.create(name="New")).id


async def _going(w: World) -> Any:
    return await w.one("rsvps", eventId=w.event, status="going")


async def _removed_event(w: World) -> Any:
    await w.c.events.delete(w.event)
    return w.event


async def _running(w: World) -> None:
    """Some single events and some series go on at this moment."""
    for number in range(6):
        start = w.now - (number + 1) * HOUR
        weekly = {"frequency": "weekly", "interval": 1, "end_after": 3}
        repeats = {"recurrence": weekly} if number % 2 else {}
        await w.c.events.create(title="Now", start_time=start, end_time=w.now + HOUR, **repeats)


async def _among_running(w: World) -> str:
    await _running(w)
    return str((await w.c.events.upcoming(limit=2)).next)


async def _behind_running(w: World) -> str:
    page = await w.c.events.upcoming(limit=LIMIT)
    while page.items[-1].start_time <= w.now:
        page = await w.c.events.upcoming(limit=LIMIT, after=page.next)
    return str(page.next)


EVENTS = [
    Call("events.create", lambda w: w.c.events.create(title="New", start_time=w.now, end_time=w.now + HOUR)),
    Call("events.update", lambda w: w.c.events.update(w.event, title="New"), "its title"),
    Call("events.update", lambda w: w.c.events.update(w.event, capacity=1_000), "its capacity"),
    Call("events.update", lambda w: w.c.events.update(w.event, end_time=w.now + 99 * DAY), "its time"),
    Call("events.delete", lambda w: w.c.events.delete(w.event)),
    Call("events.restore", lambda w, it: w.c.events.restore(it), before=_removed_event),
    Call("events.between", lambda w: w.c.events.between(w.now, w.now + 30 * DAY), "ahead", **LATER),
    Call("events.between", lambda w: w.c.events.between(w.now - 30 * DAY, w.now), "behind", **LATER),
    Call("events.upcoming", lambda w, _: w.c.events.upcoming(limit=LIMIT), "first page", before=_running, **LATER),
    Call("events.upcoming", lambda w, _: w.c.events.upcoming(limit=100), "everything", before=_running, **LATER),
    Call(
        "events.upcoming",
        lambda w, after: w.c.events.upcoming(limit=2, after=after),
        "among those that have started",
        before=_among_running,
        **LATER,
    ),
    Call(
        "events.upcoming",
        lambda w, after: w.c.events.upcoming(limit=LIMIT, after=after),
        "among those that have not started",
        before=_behind_running,
        **LATER,
    ),
    *pages("events.past", lambda w, after: w.c.events.past(limit=LIMIT, after=after)),
]

RSVPS = [
    Call("rsvps.set", lambda w, user: w.c.rsvps.set(user, w.event, "going"), "new", before=_newcomer),
    Call("rsvps.set", lambda w, found: w.c.rsvps.set(found["userId"], w.event, "maybe"), "changed", before=_going),
    Call("rsvps.set", lambda w, found: w.c.rsvps.set(found["userId"], w.event, "going"), "again", before=_going),
    Call(
        "rsvps.set",
        lambda w, user: w.c.rsvps.set(user, w.event, "going", **BOTH),
        "rewarded",
        before=_newcomer,
        **ALL_LEVELS,
    ),
    Call(
        "rsvps.set",
        lambda w, it: w.c.rsvps.set(it, w.event, "going", **BOTH),
        "reaches a level",
        before=promising,
        **ALL_LEVELS,
    ),
    Call("rsvps.withdraw", lambda w, found: w.c.rsvps.withdraw(found["userId"], w.event), before=_going),
    Call("rsvps.withdraw", lambda w, user: w.c.rsvps.withdraw(user, w.event), "none", before=_newcomer),
    Call("rsvps.delete", lambda w, found: w.c.rsvps.delete(found["_id"]), before=_going),
    Call(
        "rsvps.delete",
        lambda w, found: w.c.rsvps.delete(found["_id"]),
        "not going",
        before=lambda w: w.one("rsvps", status="maybe"),
    ),
    Call("rsvps.for_pair", lambda w: w.c.rsvps.for_pair(w.guest, w.event)),
    *pages("rsvps.attendees", lambda w, after: w.c.rsvps.attendees(w.event, limit=LIMIT, after=after)),
    *pages("rsvps.for_user", lambda w, after: w.c.rsvps.for_user(w.guest, limit=LIMIT, after=after), **LOOKED_UP),
    Call("rsvps.counts", lambda w: w.c.rsvps.counts(w.event), why="a key for each one counted"),
]

CALLS = [*EVENTS, *RSVPS]
