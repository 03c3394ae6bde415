"""The MongoDB data layer of a community platform and a story generator, for async Python.

```python
from datalayer import Community

async with Community.connect("mongodb://localhost:27017/opentribe") as community:
    page = await community.users.directory()
```
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datalayer.database import Community, Stories
    from datalayer.engine.pages import Page
    from datalayer.errors import DataLayerError
    from datalayer.server import embedded_server

__version__ = "0.1.0"

__all__ = ["Community", "DataLayerError", "Page", "Stories", "embedded_server"]

_MODULES = {
    "Community": "database",
    "DataLayerError": "errors",
    "Page": "engine.pages",
    "Stories": "database",
    "embedded_server": "server",
}


def __dir__() -> list[str]:
    """The public names too, which are not there before somebody asks for them."""
    return sorted({*globals(), *__all__})


def __getattr__(name: str) -> object:
    """Import on first access: every pytest run loads this package for `datalayer.testing.plugin`."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
