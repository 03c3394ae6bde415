"""Events and their RSVPs."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from datalayer.documents.events import Recurrence
from datalayer.engine.clock import DAY, HOUR
from datalayer.repositories.shared.recurrence import Schedule
from datalayer.seeding.draws import Every, Ids, source
from datalayer.seeding.phrases import Writer, markup
from datalayer.seeding.tables.users import People
from datalayer.seeding.world import World

_PAST = 0.8
"""The share of events that are over."""

_STATUSES = ("going",) * 7 + ("maybe", "maybe", "notGoing")
_DELETED = Every(13, 11)


@dataclass(frozen=True, slots=True)
class Answer:
    """A user's RSVP to an event."""

    user: int
    status: str
    moment: int


class Events:
    """The events by number, with their RSVPs."""

    def __init__(self, world: World, people: People) -> None:
        self._world, self._people = world, people
        self._events, self._rsvps = Ids(world, "events"), Ids(world, "rsvps")
        self.marks = (self._events.mark, self._rsvps.mark)
        self.count = world.events
        self.rows = [self._row(number) for number in range(world.events)]
        self.rsvp_count = sum(self._of(number) for number in range(self.count))

    def _row(self, number: int) -> dict[str, Any]:
        world = self._world
        writer = Writer(random := source(world, f"event {number}"))
        part = (number + 0.5) / (self.count * _PAST)
        start = world.at(part) if part < 1 else world.now + int((part - 1) * 240 * DAY)
        start = start // HOUR * HOUR
        created = max(world.start, min(start - 21 * DAY, world.now - number % 5 * DAY - 2 * DAY))
        description = writer.write("events", "description")
        row: dict[str, Any] = {
            "_id": self._events.make(created, number),
            "title": writer.write("events", "titles"),
            "description": description,
            "descriptionHtml": markup([description]),
            "startTime": max(start, created + HOUR),
            "endTime": max(start, created + HOUR) + (2 + number % 4) * HOUR,
            "location": writer.write("events", "location"),
            "createdAt": created,
        }
        if number % 4 == 1:
            row["recurrence"] = _recurrence(number // 4, row["startTime"])
            schedule = Schedule(row["startTime"], row["endTime"], Recurrence.model_validate(row["recurrence"]))
            if schedule.over_at is not None:
                row["seriesEndTime"] = schedule.over_at
        if number % 2:
            row["coverStorageId"] = f"events/{random.getrandbits(64):016x}.jpg"
        if number in _DELETED:
            row["deletedAt"] = max(created, world.now - DAY)
        going = sum(answer.status == "going" for answer in self._answers(number, row))
        row["rsvpCount"] = going
        if number % 3 == 0:
            # Every second event with a limit is full.
            row["capacity"] = max(1, going + 5 * (number % 2))
        return row

    def _of(self, number: int) -> int:
        # Never more than the number of founders.
        return min(self._world.founders, self._world.rsvps_per_event * (1 + number % 4) // 3)

    def _answers(self, number: int, row: dict[str, Any]) -> Iterator[Answer]:
        random = source(self._world, f"rsvps {number}")
        here = self._people.there_at(row["createdAt"])
        window = min(self._world.now, row["startTime"], row.get("deletedAt", self._world.now)) - row["createdAt"]
        for user in random.sample(range(here), self._of(number)):
            yield Answer(user, random.choice(_STATUSES), row["createdAt"] + int(random.random() * window))

    def answers(self) -> Iterator[tuple[dict[str, Any], Answer]]:
        """Return the document of each event with each RSVP to it."""
        for number, row in enumerate(self.rows):
            for answer in self._answers(number, row):
                yield row, answer

    def rsvp_rows(self) -> Iterator[dict[str, Any]]:
        """Return the documents of the RSVPs."""
        for sequence, (row, answer) in enumerate(self.answers()):
            yield {
                "_id": self._rsvps.make(answer.moment, sequence),
                "eventId": row["_id"],
                "userId": self._people.ids[answer.user],
                "status": answer.status,
                "createdAt": answer.moment,
                "updatedAt": answer.moment,
            }


def _recurrence(draw: int, start: int) -> dict[str, Any]:
    return (
        {"frequency": "weekly", "interval": 1, "endAfter": 8},
        {"frequency": "monthly", "interval": 1},
        {"frequency": "daily", "interval": 2, "endDate": start + 14 * DAY},
        {"frequency": "weekly", "interval": 2},
    )[draw % 4]
