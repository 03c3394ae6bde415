"""Adds missing parts of the declared schema at start-up."""

import asyncio
from collections.abc import Mapping, Sequence

from pymongo.errors import DuplicateKeyError

from datalayer.engine.database import SchemaMode
from datalayer.engine.document import Document
from datalayer.engine.errors import SchemaDriftError
from datalayer.schema.live import Database, live_tables
from datalayer.schema.performing import MAJORITY, perform
from datalayer.schema.plan import Action, Step, plan
from datalayer.schema.problems import violations
from datalayer.schema.tables import Table, declared_tables


async def ensure_schema(database: Database, documents: Sequence[type[Document]], mode: SchemaMode) -> None:
    """Make sure that the database has what the document classes rely on.

    `create` adds whatever is missing, and waits for indexes that another process is building. `verify` only checks, and
    also rejects an index that is still being built. Both tolerate what `datalayer.schema.compatibility` allows (indexes
    and validators of a newer release that this release can work with) and staged indexes.

    If nothing is missing, it costs one round trip plus one per collection; the latter run concurrently. Many processes
    may run it concurrently.

    Raises:
        SchemaDriftError: Something exists but is different; or is missing, with `verify`; or existing documents violate
            a validator that is to be added, or a unique index. Except in the last case, nothing was changed.
    """
    if mode == "skip":
        return
    declared = declared_tables(documents)
    found = plan(declared, await live_tables(database, [table.name for table in declared]))
    steps = [step for step in found if step.required]
    if mode == "verify":
        _refuse(steps)
        return
    _refuse([step for step in steps if not step.adds])
    if steps:
        await _create(database, {table.name: table for table in declared}, steps)


def _refuse(steps: Sequence[Step]) -> None:
    if steps:
        found = tuple(dict.fromkeys(f"{step.place}: {step.why}" for step in steps))
        raise SchemaDriftError(
            f"The database differs from the declared schema: {'; '.join(found)}.", differences=found, hint=_hint(steps)
        )


def _hint(steps: Sequence[Step]) -> str:
    if all(step.automatic for step in steps):
        drop = " --drop" if any(step.needs_drop for step in steps) else ""
        return (
            f"`datalayer schema plan` shows the changes, and `datalayer schema apply{drop}` makes them; "
            "`--only` limits them to one product, and `--product module:Class` names your own."
        )
    return "The type of a collection cannot be changed: copy its documents into a plain collection of this name."


async def _create(database: Database, declared: Mapping[str, Table], added: Sequence[Step]) -> None:
    unguarded = [declared[step.collection] for step in added if step.action is Action.SET_VALIDATOR]
    await _refuse_violations(database, unguarded)
    by_table = {name: [step for step in added if step.collection == name] for name in declared}
    creating = (_create_table(database, declared[name], steps) for name, steps in by_table.items() if steps)
    # Await all of them: otherwise the remaining ones would change the database after the error.
    for result in await asyncio.gather(*creating, return_exceptions=True):
        if result is not None:
            raise result


async def _refuse_violations(database: Database, tables: Sequence[Table]) -> None:
    checked = [await violations(database, table.name, table.validator or {}) for table in tables]
    found = [broken for broken in checked if broken is not None]
    if found:
        raise SchemaDriftError(
            f"Existing documents violate the validator that is to be added: {'; '.join(found)}. Nothing was changed.",
            differences=tuple(found),
            hint="Fix or remove them, then start again.",
        )


async def _create_table(database: Database, table: Table, steps: Sequence[Step]) -> None:
    """Add everything that a collection lacks; its indexes with one command."""
    for step in steps:
        if step.action is not Action.BUILD_INDEX:
            await perform(database, step)
    indexes = [
        step.shape.specification(step.name) for step in steps if step.shape is not None and step.name is not None
    ]
    if indexes:
        try:
            await database.command("createIndexes", table.name, indexes=indexes, writeConcern=MAJORITY)
        except DuplicateKeyError as error:
            # Not all of the details: they contain the signature of the cluster.
            details = error.details or {}
            name = next((index["name"] for index in indexes if index["key"] == details.get("keyPattern")), "an index")
            raise SchemaDriftError(
                f"{table.name} has duplicates that the unique index {name} does not allow: {details['keyValue']}.",
                hint="`datalayer schema plan` lists them. Merge or remove them, then start again.",
            ) from error
