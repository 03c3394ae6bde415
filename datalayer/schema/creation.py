"""Bringing a database to the declared schema at start-up, and only by adding to it."""

import asyncio
from collections.abc import Mapping, Sequence

from pymongo.errors import DuplicateKeyError

from datalayer.engine.database import SchemaMode
from datalayer.engine.document import Document
from datalayer.engine.errors import SchemaDriftError
from datalayer.schema.live import Database, live_tables
from datalayer.schema.performing import perform
from datalayer.schema.plan import Action, Step, plan
from datalayer.schema.problems import violations
from datalayer.schema.tables import Table, declared_tables


async def ensure_schema(database: Database, documents: Sequence[type[Document]], mode: SchemaMode) -> None:
    """Make the database's schema the declared one, without the staged indexes.

    `create` adds what is missing, and lets indexes be that no document declares; `verify` only looks. When everything
    is there it costs one round trip, and one for each collection, all at once. Many processes may do it at a time.

    Raises:
        SchemaDriftError: Something is there but different, or with `verify` anything is; or documents break a validator
            that is to be added, or a unique index. Before anything was changed, but for the last case.
    """
    if mode == "skip":
        return
    declared = declared_tables(documents)
    staged = {(table.name, name) for table in declared for name in table.staged}
    found = plan(declared, await live_tables(database, [table.name for table in declared]))
    steps = [step for step in found if (step.collection, step.purpose) not in staged]
    if mode == "verify":
        _refuse(steps)
        return
    _refuse([step for step in steps if not step.adds and not step.departs])
    added = [step for step in steps if step.adds]
    if added:
        await _create(database, {table.name: table for table in declared}, added)


def _refuse(steps: Sequence[Step]) -> None:
    if steps:
        found = tuple(dict.fromkeys(f"{step.place}: {step.why}" for step in steps))
        drop = " --drop" if any(step.needs_drop for step in steps) else ""
        raise SchemaDriftError(
            f"The database differs from the declared schema: {'; '.join(found)}.",
            differences=found,
            hint=f"`datalayer schema plan` shows what is to be done, and `datalayer schema apply{drop}` does it.",
        )


async def _create(database: Database, declared: Mapping[str, Table], added: Sequence[Step]) -> None:
    unguarded = [declared[step.collection] for step in added if step.action is Action.SET_VALIDATOR]
    await _refuse_violations(database, unguarded)
    by_table = {name: [step for step in added if step.collection == name] for name in declared}
    await asyncio.gather(*(_create_table(database, declared[name], steps) for name, steps in by_table.items() if steps))


async def _refuse_violations(database: Database, tables: Sequence[Table]) -> None:
    checked = [await violations(database, table.name, table.validator or {}) for table in tables]
    found = [broken for broken in checked if broken is not None]
    if found:
        raise SchemaDriftError(
            f"Documents break the validator that is to be added: {'; '.join(found)}. Nothing was changed.",
            differences=tuple(found),
            hint="Mend or remove them, then start again.",
        )


async def _create_table(database: Database, table: Table, steps: Sequence[Step]) -> None:
    """All that is missing of one collection, its indexes with one command."""
    for step in steps:
        if step.action is not Action.BUILD_INDEX:
            await perform(database, step)
    indexes = [
        step.shape.specification(step.name) for step in steps if step.shape is not None and step.name is not None
    ]
    if indexes:
        try:
            await database.command("createIndexes", table.name, indexes=indexes)
        except DuplicateKeyError as error:
            raise SchemaDriftError(
                f"{table.name} holds documents that a unique index does not allow: {error.details}.",
                hint="`datalayer schema plan` lists them. Merge or remove them, then start again.",
            ) from error
