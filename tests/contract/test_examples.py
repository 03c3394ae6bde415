"""Every example of every public method does in memory what it does on a server."""

import pytest

from datalayer.errors import DataLayerError, NotSupportedInMemory
from tests.contract.twins import MemoryWorld, ServerWorld
from tests.plans.registry import CALLS


@pytest.mark.parametrize("method", CALLS)
async def test_the_same_on_both(server: ServerWorld, memory: MemoryWorld, method: str) -> None:
    """The same result or error, and the same documents left behind; or it is refused, and nothing is written."""
    for call in CALLS[method]:
        here = await memory.outcome(call)
        if isinstance(here.given, NotSupportedInMemory):
            print("REFUSED", call, here.given.message)
            continue
        there = await server.outcome(call)
        assert here.canonical(memory.known) == there.canonical(memory.known), str(call)
        assert isinstance(there.given, DataLayerError) == (call.raises is not None), there.given
