"""Helpers for testing applications that use the library. The pytest fixtures are in `datalayer.testing.plugin`.

```python
from datalayer.testing import Factories, count_commands

async def test_a_page_is_one_query(community):
    make = Factories(community)
    space = await make.space()
    for _ in range(3):
        await make.post(space=space)
    with count_commands(community) as commands:
        page = await community.posts.feed(space.id)
    assert (len(page.items), len(commands)) == (3, 1)
```
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datalayer.testing.clock import FrozenClock
    from datalayer.testing.commands import Command, CommandLog, count_commands
    from datalayer.testing.factories import Factories
    from datalayer.testing.fixtures import database_fixture
    from datalayer.testing.plans import assert_uses_index
    from datalayer.testing.sandbox import open_database
    from datalayer.testing.story_factories import StoriesFactories

__all__ = [
    "Command",
    "CommandLog",
    "Factories",
    "FrozenClock",
    "StoriesFactories",
    "assert_uses_index",
    "count_commands",
    "database_fixture",
    "open_database",
]

_MODULES = {
    "Command": "commands",
    "CommandLog": "commands",
    "Factories": "factories",
    "FrozenClock": "clock",
    "StoriesFactories": "story_factories",
    "assert_uses_index": "plans",
    "count_commands": "commands",
    "database_fixture": "fixtures",
    "open_database": "sandbox",
}


def __getattr__(name: str) -> object:
    """Import on first access: every pytest run loads this package for the plugin."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
