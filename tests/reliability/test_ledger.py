"""The ledger finds what it is there to find."""

import pytest

from datalayer import Community, Stories
from datalayer.errors import NotFoundError, OutcomeUnknownError, UnavailableError
from tests.reliability.ledger import Ledger, flag, to, version
from tests.reliability.load import Load
from tests.reliability.observed import observed
from tests.reliability.operations import OPERATIONS
from tests.reliability.world import World
from tests.seeding.rows import Data

POST = ("posts", "a-1")


@pytest.mark.parametrize(
    ("error", "sound"),
    [(None, {"2"}), (OutcomeUnknownError, {"1", "2"}), (UnavailableError, {"1"}), (NotFoundError, {"1"})],
)
def test_what_is_possible_follows_from_how_a_write_ended(error: type[Exception] | None, sound: set[str]) -> None:
    ledger = Ledger({POST: "1"})
    try:
        with ledger.changing({POST: version("2")}):
            if error is not None:
                raise error
    except (OutcomeUnknownError, UnavailableError, NotFoundError):
        pass
    assert {value for value in (None, "0", "1", "2", "3") if not ledger.differences({POST: value})} == sound


def test_an_unknown_creation_is_there_with_what_came_later_or_not_at_all() -> None:
    ledger = Ledger()
    with pytest.raises(OutcomeUnknownError), ledger.changing({POST: to("0")}):
        raise OutcomeUnknownError
    with ledger.changing({POST: flag("read")}):
        pass
    assert ledger.possible(POST) == {None, "0 read"}


async def test_a_lost_a_changed_and_an_unasked_document_are_found(community: Community, stories: Stories) -> None:
    """In what a load has written, whichever table it is."""
    world = await World.create(community, stories)
    ledger = Ledger(await _observed(community, stories))
    load = Load(community, stories, world, ledger, "a")
    worker = load.workers[0]
    for name in ("arrive", *OPERATIONS):
        if OPERATIONS[name].writes:
            assert await load.outcome(worker, OPERATIONS[name]) in {"acknowledged", "refused"}, load.problems
    found = await _observed(community, stories)
    assert ledger.differences(found) == []
    for register in found:
        assert len(ledger.differences({other: found[other] for other in found if other != register})) == 1, register
        assert len(ledger.differences({**found, register: "999"})) == 1, register
    assert len(ledger.differences({**found, ("posts", "a-999"): "0"})) == 1


async def _observed(community: Community, stories: Stories) -> dict:
    data = await Data.read(community.database)
    return observed(Data({**data, "scenes": (await Data.read(stories.database))["scenes"]}))
