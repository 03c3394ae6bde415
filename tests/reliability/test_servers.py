"""Servers that go down under load: nothing acknowledged is lost, every rule holds, the client goes on.

All faults, for longer, and many times: `make soak`.
"""

import pytest

from datalayer.server import ReplicaSet
from tests.reliability.faults import kill_primary
from tests.reliability.load import SOME_TASKS, TASKS, Site
from tests.reliability.world import World


@pytest.mark.parametrize("servers", [1, pytest.param(3, marks=pytest.mark.thorough)], indirect=True)
async def test_what_was_acknowledged_survives_a_kill_of_the_primary(servers: ReplicaSet, thorough: bool) -> None:
    """One node is started again; of three, the others go on, and it comes back."""
    async with Site.open(servers.uri) as site:
        world = await World.create(site.community, site.stories)
        ledger = await site.ledger()
        async with site.load(world, ledger, tasks=TASKS if thorough else SOME_TASKS) as load:
            await load.everybody_wrote()
            await kill_primary(servers, load)
        await site.assert_sound(ledger)
