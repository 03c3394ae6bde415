"""Random methods in random transactions, in several processes at once; then everything is counted again."""

import asyncio
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from datalayer import Community
from tests.reliability.composed import Account, Place, known, work
from tests.reliability.ledger import Ledger
from tests.reliability.observed import observed
from tests.seeding.invariants import violations
from tests.seeding.rows import Data

PROCESSES, TASKS = 3, 4

TIMES = 20
"""How many transactions each task does."""

LONGEST = 20.0
"""Seconds that any of them may take on a busy machine: less than the time after which a transaction is given up."""


async def test_what_is_composed_happens_as_a_whole_or_not_at_all(
    community: Community, datalayer_uri: str, thorough: bool
) -> None:
    """Nothing acknowledged is missing, nothing of what was undone is there, every rule holds, and nobody waits long."""
    place = await Place.create(community)
    ledger = Ledger(observed(known(await Data.read(community.database), place)))
    accounts = await _work(datalayer_uri, place, "a", TIMES * 10 if thorough else TIMES)
    for account in accounts:
        for line in account.journal:
            ledger.replay(line)
    assert [problem for account in accounts for problem in account.problems] == []
    assert ledger.differences(observed(known(await Data.read(community.database), place))) == []
    assert await violations(community.database) == []
    assert max(account.longest for account in accounts) < LONGEST
    outcomes = sum((account.outcomes for account in accounts), Counter())
    print(outcomes, max(account.longest for account in accounts))
    assert outcomes["acknowledged"]
    assert outcomes["undone"]


async def _work(uri: str, place: Place, name: str, times: int) -> list[Account]:
    context = get_context("forkserver")
    # So it is imported once, and not by each process.
    context.set_forkserver_preload([work.__module__])
    loop = asyncio.get_running_loop()
    with ProcessPoolExecutor(PROCESSES, mp_context=context) as pool:
        return await asyncio.gather(
            *(loop.run_in_executor(pool, work, uri, place, f"{name}{n}", TASKS, times) for n in range(PROCESSES))
        )
