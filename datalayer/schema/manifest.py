"""The physical schema of each collection as a file for review."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import cast

from datalayer.engine.database import Database
from datalayer.engine.document import Document
from datalayer.engine.indexes import ORIGINAL, Index
from datalayer.schema.serves import Serves, serves
from datalayer.schema.tables import IndexShape
from datalayer.schema.validators import validator


def manifests(folder: Path, products: Iterable[type[Database]]) -> dict[Path, str]:
    """What the files of a folder should say: one for each collection of the products."""
    chosen = list(products)
    served = serves(chosen)
    return {
        folder / f"{document.Settings.name}.json": manifest(document, served.get(document.Settings.name, {}))
        for product in chosen
        for document in product.documents
    }


def outdated(folder: Path, products: Iterable[type[Database]]) -> list[Path]:
    """Return the files that are missing or different, and those of collections that there are no longer."""
    wanted = manifests(folder, products)
    changed = [path for path, text in wanted.items() if not path.exists() or path.read_text("utf-8") != text]
    return [*changed, *(path for path in sorted(folder.glob("*.json")) if path not in wanted and _is_manifest(path))]


def write(folder: Path, products: Iterable[type[Database]]) -> None:
    """Write the files, and remove those of collections that there are no longer. Other files are left alone."""
    wanted = manifests(folder, products)
    folder.mkdir(parents=True, exist_ok=True)
    for path in outdated(folder, products):
        if path in wanted:
            path.write_text(wanted[path], "utf-8")
        else:
            path.unlink()


def _is_manifest(path: Path) -> bool:
    try:
        content: object = json.loads(path.read_text("utf-8"))
    except ValueError:
        return False
    names = cast("dict[str, object]", content).keys() if isinstance(content, dict) else set[str]()
    return {"collection", "validator", "indexes"} <= names


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
