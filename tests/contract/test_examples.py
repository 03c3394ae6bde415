"""Every example of every public method does the same in memory as on a server, or says that it cannot."""

import pytest

from datalayer.errors import DataLayerError, NotSupportedInMemory
from tests.contract.twins import MemoryWorld, ServerWorld
from tests.plans.registry import CALLS


@pytest.mark.parametrize("method", CALLS)
async def test_the_same_on_both(server: ServerWorld, memory: MemoryWorld, method: str) -> None:
    """The same result or error, and the same documents left behind; or `NotSupportedInMemory`, and nothing written."""
    known = memory.known
    for call in CALLS[method]:
        there, here = await server.outcome(call), await memory.outcome(call)
        assert isinstance(there.given, DataLayerError) == (call.raises is not None), there.given
        if isinstance(here.given, NotSupportedInMemory):
            assert here.changes == {}, str(call)
            continue
        assert here.canonical(known) == there.canonical(known), str(call)
