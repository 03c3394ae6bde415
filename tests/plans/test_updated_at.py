"""`updatedAt` is the time of the last change through a repository; counters and copies are no change."""

from typing import Any

import bson
import pytest

from datalayer.documents import COMMUNITY_DOCUMENTS
from tests.plans.calls import Call
from tests.plans.observing import Observer, written
from tests.plans.registry import CALLS
from tests.plans.world import changes

TABLES = {document.Settings.name for document in COMMUNITY_DOCUMENTS if "updated_at" in document.model_fields}

NO_CHANGE = {"users": {"points", "level"}, "courses": {"enrollmentCount", "removing"}}
"""The counters, and the notes of an interrupted removal; locks are none either."""

EVERY_CALL = [call for calls in CALLS.values() for call in calls if call.raises is None]


@pytest.mark.parametrize("call", EVERY_CALL, ids=str)
@pytest.mark.share(2)
async def test_updated_at_follows_changes(observer: Observer, call: Call) -> None:
    """Of every document that an example changes; and it stays where nothing but a counter or a lock has changed."""
    for table, before, after in await _changed(observer, call):
        differing = {name for name in {*before, *after} if before.get(name) != after.get(name)}
        changed = differing - NO_CHANGE.get(table, set()) - {"revision", "updatedAt"}
        # A field that is given the value that it has changes nothing but the time.
        if differing != {"updatedAt"}:
            assert after["updatedAt"] == (observer.world.now if changed else before["updatedAt"]), (table, changed)


async def _changed(observer: Observer, call: Call) -> list[tuple[str, dict[str, Any], dict[str, Any]]]:
    """The documents that the example changes, as they were before and are afterwards."""
    world = observer.world
    with world.log.recorded() as preparing:
        arguments = [] if call.before is None else [await call.before(world)]
    rows = {table: await world.rows(table) for table in written(preparing)}
    with world.log.recorded() as commands:
        await call.run(world, *arguments)
    found: list[tuple[str, dict[str, Any], dict[str, Any]]] = []
    for table in written(commands):
        before, after = rows.get(table, world.pristine(table)), await world.rows(table)
        if table in TABLES:
            both = [(id, row) for id, row in changes(before, after).items() if row is not None and id.binary in before]
            found += [(table, bson.decode(before[id.binary]), row) for id, row in both]
        await world.put_back(table, there=after)
    for table in rows:
        await world.put_back(table)
    return found
