"""Bringing a database to the declared schema at start-up, and only by adding to it."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Literal, TypeAlias

from pymongo.errors import DuplicateKeyError, OperationFailure

from datalayer.documents.base import Document
from datalayer.errors import SchemaDriftError
from datalayer.schema.difference import MISSING, Difference, Kind, differences
from datalayer.schema.live import Database, live_tables
from datalayer.schema.tables import Table, declared_tables

SchemaMode: TypeAlias = Literal["create", "verify", "skip"]

_NAMESPACE_EXISTS = 48


async def ensure_schema(database: Database, documents: Sequence[type[Document]], mode: SchemaMode) -> None:
    """Make the database's schema the declared one.

    `create` adds what is missing, and lets indexes be that no document declares; `verify` only looks. When everything
    is there it costs one round trip, and one for each collection, all at once. Many processes may do it at a time.

    Raises:
        SchemaDriftError: Something is there but different, or with `verify` anything is; or documents break a validator
            that is to be added, or a unique index. Before anything was changed, but for the last case.
    """
    if mode == "skip":
        return
    declared = declared_tables(documents)
    found = differences(declared, await live_tables(database, [table.name for table in declared]))
    if mode == "verify":
        _refuse(found)
        return
    _refuse([difference for difference in found if difference.kind not in MISSING | {Kind.UNKNOWN_INDEX}])
    missing = [difference for difference in found if difference.kind in MISSING]
    if missing:
        await _create(database, {table.name: table for table in declared}, missing)


def _refuse(found: Sequence[Difference]) -> None:
    if found:
        mends = "; ".join(dict.fromkeys(difference.mend for difference in found if difference.mend))
        ways = [f"in mongosh: {mends}"] * bool(mends)
        ways += ['connect with schema="create"'] * (bool(mends) or any(item.kind in MISSING for item in found))
        raise SchemaDriftError(
            f"The database differs from the declared schema: {'; '.join(map(str, found))}.",
            differences=tuple(map(str, found)),
            hint=f"To mend it, {', then '.join(ways)}.",
        )


async def _create(database: Database, declared: Mapping[str, Table], missing: Sequence[Difference]) -> None:
    unguarded = [declared[item.collection] for item in missing if item.kind is Kind.MISSING_VALIDATOR]
    await _refuse_violations(database, unguarded)
    await asyncio.gather(
        *(
            _create_table(database, table, [item for item in missing if item.collection == name])
            for name, table in declared.items()
            if any(item.collection == name for item in missing)
        )
    )


async def _refuse_violations(database: Database, tables: Sequence[Table]) -> None:
    found = [sentence for table in tables if (sentence := await _violations(database, table)) is not None]
    if found:
        raise SchemaDriftError(
            f"Documents break the validator that is to be added: {'; '.join(found)}. Nothing was changed.",
            differences=tuple(found),
            hint="Mend or remove them, then start again.",
        )


async def _violations(database: Database, table: Table) -> str | None:
    breaking = {"$nor": [table.validator]}
    example = await database[table.name].find_one(breaking, {"_id": 1})
    if example is None:
        return None
    count = await database[table.name].count_documents(breaking)
    return f"{count} in {table.name}, for example {example['_id']!r}; find them with db.{table.name}.find({breaking})"


async def _create_table(database: Database, table: Table, missing: Sequence[Difference]) -> None:
    kinds = {item.kind for item in missing}
    if Kind.MISSING_COLLECTION in kinds:
        try:
            await database.create_collection(table.name, validator=table.validator, check_exists=False)
        except OperationFailure as error:
            # Another process, which starts at the same time, was first.
            if error.code != _NAMESPACE_EXISTS:
                raise
    if Kind.MISSING_VALIDATOR in kinds:
        await database.command("collMod", table.name, validator=table.validator)
    names = [item.index for item in missing if item.kind is Kind.MISSING_INDEX and item.index is not None]
    if names:
        specifications = [
            {"name": name, "key": dict(table.indexes[name].keys), **table.indexes[name].options} for name in names
        ]
        try:
            await database.command("createIndexes", table.name, indexes=specifications)
        except DuplicateKeyError as error:
            raise SchemaDriftError(
                f"{table.name} holds documents that a unique index does not allow: {error.details}.",
                hint="Merge or remove them, then start again.",
            ) from error
