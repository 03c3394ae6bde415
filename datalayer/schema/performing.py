"""The commands that do a step."""

from collections.abc import Awaitable
from typing import Any

from pymongo.errors import OperationFailure

from datalayer.schema.live import Database
from datalayer.schema.plan import Action, Step

_NAMESPACE_EXISTS, _INDEX_NOT_FOUND = 48, 27


async def perform(database: Database, step: Step) -> None:
    """Do the step; where another process was first, it is done."""
    try:
        await _command(database, step)
    except OperationFailure as error:
        if error.code not in (_NAMESPACE_EXISTS, _INDEX_NOT_FOUND):
            raise


def _command(database: Database, step: Step) -> Awaitable[Any]:
    name = step.collection
    match step.action:
        case Action.CREATE_COLLECTION:
            return database.create_collection(name, validator=step.validator, check_exists=False)
        case Action.SET_VALIDATOR:
            # `strict` and `error` are the defaults, which somebody may have changed.
            return database.command(
                "collMod", name, validator=step.validator, validationLevel="strict", validationAction="error"
            )
        case Action.BUILD_INDEX if step.shape is not None and step.name is not None:
            return database.command("createIndexes", name, indexes=[step.shape.specification(step.name)])
        case Action.DROP_INDEX:
            return database.command("dropIndexes", name, index=step.name)
        case _:
            hidden = step.action is Action.HIDE_INDEX
            return database.command("collMod", name, index={"name": step.name, "hidden": hidden})
