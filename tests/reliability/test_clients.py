"""A client that is killed under load."""

import time

import pytest

from datalayer.server import ReplicaSet
from tests.reliability.load import PATIENCE, SOME_TASKS, Site
from tests.reliability.process import Child
from tests.reliability.world import World

LIMIT = 2


@pytest.mark.thorough
async def test_a_killed_client_leaves_what_was_acknowledged_and_no_locks(servers: ReplicaSet) -> None:
    """What its transactions had locked can be written again when the server's limit for transactions is over."""
    async with Site.open(servers.uri) as site:
        # The embedded server's own limit is 20 s.
        await site.client.admin.command("setParameter", 1, transactionLifetimeLimitSeconds=LIMIT)
        world = await World.create(site.community, site.stories)
        ledger = await site.ledger()
        async with Child.running(servers.uri, world, ledger, tasks=SOME_TASKS) as child:
            await child.works(200)
            await child.hold()
            child.kill()
        begun = time.monotonic()
        await site.community.posts.edit(world.still[0], content="hot-3 0")
        assert time.monotonic() - begun < LIMIT + PATIENCE
        async with site.load(world, ledger, "d", tasks=SOME_TASKS) as load:
            await load.everybody_wrote()
        await site.assert_sound(ledger)
