"""Every example of every public method does in memory what it does on a server, or is refused there."""

import re
from pathlib import Path

import pytest

from datalayer.errors import DataLayerError, NotSupportedInMemory
from tests.contract.twins import MemoryWorld, ServerWorld
from tests.plans.registry import CALLS, about

_ROW = re.compile(r"^\| `(\w+)` \| (.*) \| (.*) \|$", re.MULTILINE)

PAGE = _ROW.findall((Path(__file__).parents[2] / "docs" / "in-memory.md").read_text())
"""The page's table: a repository, its methods that work in memory, and those that need a server."""


@pytest.mark.parametrize("method", [about(name) for name in CALLS])
@pytest.mark.share(3)
async def test_the_same_on_both(server: ServerWorld, memory: MemoryWorld, method: str) -> None:
    """The same result or error, and the same documents left behind; or it is refused, as the page says."""
    works = True
    for call in CALLS[method]:
        here = await memory.outcome(call)
        if isinstance(here.given, NotSupportedInMemory):
            works = False
            continue
        there = await server.outcome(call)
        assert here.canonical(memory.known) == there.canonical(memory.known), str(call)
        assert isinstance(there.given, DataLayerError) == (call.raises is not None), there.given
    assert method in (_listed(1) if works else _listed(2))


def test_the_page_lists_every_method_once() -> None:
    listed = [*_listed(1), *_listed(2)]
    assert sorted(listed) == sorted(CALLS)


def _listed(column: int) -> list[str]:
    return [f"{row[0]}.{name}" for row in PAGE for name in re.findall(r"`(\w+)`", row[column])]
