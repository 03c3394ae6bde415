"""The MongoDB data layer of a community platform and a story generator, for async Python.

```python
from datalayer import Community

async with Community.connect("mongodb://localhost:27017/opentribe") as community:
    page = await community.users.directory()
```
"""

from datalayer.database import Community, Stories
from datalayer.errors import DataLayerError
from datalayer.pages import Page
from datalayer.server import embedded_server

__version__ = "0.1.0"

__all__ = ["Community", "DataLayerError", "Page", "Stories", "embedded_server"]
