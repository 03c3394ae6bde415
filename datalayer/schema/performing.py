"""Runs the command for a step."""

import asyncio
from collections.abc import Awaitable, Mapping
from typing import Any

from pymongo import WriteConcern
from pymongo.errors import OperationFailure

from datalayer.schema.live import Database
from datalayer.schema.plan import Action, Step

MAJORITY: Mapping[str, object] = {"w": "majority"}
"""The write concern of every command: a failover must not undo a constraint."""

_NAMESPACE_EXISTS, _INDEX_NOT_FOUND = 48, 27
_INDEX_BUILD_RUNS = 12587
_RETRY_SECONDS = 0.2


async def perform(database: Database, step: Step) -> None:
    """Do the step. Succeeds if another process has already done it.

    MongoDB does not modify a collection while one of its indexes is being built: then this waits for the build.
    """
    while True:
        try:
            await _command(database, step)
        except OperationFailure as error:
            if error.code == _INDEX_BUILD_RUNS:
                await asyncio.sleep(_RETRY_SECONDS)
                continue
            if error.code not in (_NAMESPACE_EXISTS, _INDEX_NOT_FOUND):
                raise
        return


def _command(database: Database, step: Step) -> Awaitable[Any]:
    name = step.collection
    match step.action:
        case Action.CREATE_COLLECTION:
            acknowledged = database.with_options(write_concern=WriteConcern("majority"))
            return acknowledged.create_collection(name, validator=step.validator, check_exists=False)
        case Action.SET_VALIDATOR:
            # `strict` and `error` are the defaults, but may have been changed.
            enforced: dict[str, Any] = {"validationLevel": "strict", "validationAction": "error"}
            return database.command(
                {"collMod": name, "validator": step.validator, **enforced, "writeConcern": MAJORITY}
            )
        case Action.BUILD_INDEX if step.shape is not None and step.name is not None:
            indexes = [step.shape.specification(step.name)]
            return database.command("createIndexes", name, indexes=indexes, writeConcern=MAJORITY)
        case Action.DROP_INDEX:
            return database.command("dropIndexes", name, index=step.name, writeConcern=MAJORITY)
        case _:
            hidden = step.action is Action.HIDE_INDEX
            change = {"name": step.name, "hidden": hidden}
            return database.command("collMod", name, index=change, writeConcern=MAJORITY)
