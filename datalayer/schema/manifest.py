"""The physical schema of a collection as a file for review."""

import json
from collections.abc import Mapping, Sequence

from datalayer.engine.document import Document
from datalayer.engine.indexes import ORIGINAL, Index
from datalayer.schema.tables import IndexShape
from datalayer.schema.validators import validator

Serves = Mapping[str, Sequence[str]]
"""The repository methods that an index serves, by the index's name."""


def manifest(document: type[Document], serves: Serves) -> str:
    """Return the manifest of the collection: equal schemas give equal texts."""
    settings = document.Settings
    content: dict[str, object] = {
        "collection": settings.name,
        "shardKey": None if settings.shard_key is None else list(settings.shard_key),
        "indexes": [_index(index, serves.get(index.name, ())) for index in settings.indexes],
        "validator": validator(document),
    }
    # Ids in MongoDB's extended JSON.
    return json.dumps(content, indent=2, ensure_ascii=False, default=lambda value: {"$oid": str(value)}) + "\n"


def _index(index: Index, serves: Sequence[str]) -> dict[str, object]:
    shape = IndexShape.declared(index)
    content: dict[str, object] = {"name": index.name, "keys": dict(shape.keys), **shape.options}
    if index.staged:
        content["staged"] = True
    if index.why != ORIGINAL:
        content["why"] = index.why
    content["serves"] = list(serves) or [ORIGINAL]
    return content
