"""Reads the live schema of a database."""

import asyncio
from collections.abc import Collection, Mapping
from typing import Any, TypeAlias

from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import OperationFailure

from datalayer.schema.tables import IndexShape, Table

Database: TypeAlias = AsyncDatabase[dict[str, Any]]

# Fields of `listIndexes` that every index has, or that only describe how it is stored.
_NOT_OPTIONS = {"v", "key", "name", "ns", "background"}

# Options of a collection that lose documents, reject them, or compare them differently.
_ODDITIES = {
    "capped": "is capped, so it removes documents by itself and does not support transactions",
    "expireAfterSeconds": "removes documents by itself after a time",
    "collation": "has its own collation",
    "encryptedFields": "has encrypted fields",
}

_NAMESPACE_NOT_FOUND = 26


async def live_tables(database: Database, names: Collection[str]) -> dict[str, Table]:
    """Return those of the named collections that exist, by name.

    One round trip, plus one per collection; the latter run concurrently.
    """
    cursor = await database.list_collections(filter={"name": {"$in": list(names)}})
    found = await cursor.to_list()
    tables = await asyncio.gather(*(_live_table(database, collection) for collection in found))
    return {table.name: table for table in tables if table is not None}


async def _live_table(database: Database, collection: Mapping[str, Any]) -> Table | None:
    name, options = collection["name"], collection["options"]
    oddity = _oddity(collection["type"], options)
    indexes = [] if oddity else await _indexes(database, name)
    if indexes is None:
        return None
    shapes = {spec["name"]: _shape(spec) for spec, _ in indexes if spec["name"] != "_id_"}
    return Table(
        name=name,
        validator=options.get("validator"),
        enforced=options.get("validationAction", "error") == "error"
        and options.get("validationLevel", "strict") == "strict",
        indexes=shapes,
        building=frozenset(spec["name"] for spec, building in indexes if building),
        oddity=oddity,
    )


def _oddity(kind: str, options: Mapping[str, Any]) -> str | None:
    if kind != "collection":
        return f"is a {kind}"
    return next((text for option, text in _ODDITIES.items() if options.get(option, False) is not False), None)


async def _indexes(database: Database, name: str) -> list[tuple[Mapping[str, Any], bool]] | None:
    """Return each index as `listIndexes` describes it, and whether it is still being built.

    Returns `None` if the collection does not exist. Without `includeBuildUUIDs`, an unfinished index looks like any
    other. `$indexStats` also tells them apart, but requires a role that an application does not need.
    """
    try:
        cursor = await database.cursor_command("listIndexes", name, includeBuildUUIDs=True)
    except OperationFailure as error:
        if error.code != _NAMESPACE_NOT_FOUND:
            raise
        # It was dropped a moment ago.
        return None
    found = await cursor.to_list()
    return [(index["spec"], True) if "buildUUID" in index else (index, False) for index in found]


def _shape(index: Mapping[str, Any]) -> IndexShape:
    # The shell writes directions as doubles.
    keys = tuple(
        (name, int(direction) if isinstance(direction, float) else direction)
        for name, direction in index["key"].items()
    )
    return IndexShape(keys, {name: value for name, value in index.items() if name not in _NOT_OPTIONS})
