"""The schema that a database has."""

import asyncio
from collections.abc import Collection, Mapping
from typing import Any, TypeAlias

from pymongo.asynchronous.database import AsyncDatabase

from datalayer.engine.errors import SchemaDriftError
from datalayer.schema.tables import IndexShape, Table

Database: TypeAlias = AsyncDatabase[dict[str, Any]]

# What `listIndexes` says of every index, or only of how it is stored.
_NOT_OPTIONS = {"v", "key", "name", "ns", "background"}


async def live_tables(database: Database, names: Collection[str]) -> dict[str, Table]:
    """Those of the named collections that exist, by name. One round trip, and one for each of them, all at once."""
    cursor = await database.list_collections(filter={"name": {"$in": list(names)}})
    found = await cursor.to_list()
    tables = await asyncio.gather(*(_live_table(database, collection) for collection in found))
    return {table.name: table for table in tables}


async def _live_table(database: Database, collection: Mapping[str, Any]) -> Table:
    options = collection["options"]
    if collection["type"] != "collection" or "collation" in options:
        what = "has a collation of its own" if "collation" in options else f"is a {collection['type']}"
        raise SchemaDriftError(f"{collection['name']} {what}, and should be a plain collection.")
    cursor = await database[collection["name"]].list_indexes()
    indexes = await cursor.to_list()
    return Table(
        name=collection["name"],
        validator=options.get("validator"),
        enforced=options.get("validationAction", "error") == "error"
        and options.get("validationLevel", "strict") == "strict",
        indexes={index["name"]: _shape(index) for index in indexes if index["name"] != "_id_"},
    )


def _shape(index: Mapping[str, Any]) -> IndexShape:
    # A direction that the shell wrote is a double.
    keys = tuple(
        (name, int(direction) if isinstance(direction, float) else direction)
        for name, direction in index["key"].items()
    )
    return IndexShape(keys, {name: value for name, value in index.items() if name not in _NOT_OPTIONS})
