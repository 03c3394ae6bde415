"""A world of its own for the plans."""

from collections.abc import AsyncIterator

import pytest

from datalayer.documents import Document
from tests.plans.observing import Observer
from tests.plans.world import opened


@pytest.fixture(scope="session")
async def observer(server_uri: str) -> AsyncIterator[Observer]:
    """What the methods do in a world of their own."""
    async with opened(server_uri) as world:
        yield Observer(world)


@pytest.fixture(autouse=True)
def _nothing_of_beanie(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """No method sends a query of Beanie's: each would need the settings of its document."""
    if "community" in request.fixturenames:
        # Opening it tells Beanie of the database.
        request.getfixturevalue("community")

    def refused(*_: object) -> None:
        pytest.fail("a query of Beanie's, in place of one of the repository's")

    monkeypatch.setattr(Document, "get_settings", refused)
