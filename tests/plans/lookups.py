"""The plans inside of lookups, of which the server tells no more than the indexes.

A lookup is a query for each document that comes to it: here it is written out for some that really do, and explained.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from pymongo.asynchronous.database import AsyncDatabase

from datalayer.testing.explained import Plan, explain

Statement = Mapping[str, Any]
Stages = Sequence[Mapping[str, Any]]

SAMPLES = 3


async def inner_plans(database: AsyncDatabase[dict[str, Any]], statement: Statement) -> list[Plan]:
    """The plans of the queries that the lookups of an aggregation make."""
    if next(iter(statement)) != "aggregate":
        return []
    return [plan async for plan in _inner(database, statement["aggregate"], statement["pipeline"])]


async def _inner(database: AsyncDatabase[dict[str, Any]], collection: str, pipeline: Stages) -> AsyncIterator[Plan]:
    for place, stage in enumerate(pipeline):
        if "$unionWith" in stage:
            union = stage["$unionWith"]
            async for plan in _inner(database, union["coll"], union["pipeline"]):
                yield plan
        if "$lookup" in stage:
            lookup = stage["$lookup"]
            values = await _values(database, collection, pipeline[:place], lookup)
            assert values, f"no document comes to the lookup in {lookup['from']}"
            for value in values:
                query = _written_out(lookup, value)
                yield await explain(database, {"aggregate": lookup["from"], "pipeline": query, "cursor": {}})
                async for plan in _inner(database, lookup["from"], query):
                    yield plan


async def _values(
    database: AsyncDatabase[dict[str, Any]], collection: str, before: Stages, lookup: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """What some documents bring to the lookup: the local field, and its variables."""
    local = {"local": f"${lookup['localField']}"} if "localField" in lookup else {}
    wanted = {"_id": 1, **local, **lookup.get("let", {})}
    cursor = await database[collection].aggregate([*before, {"$limit": SAMPLES}, {"$project": wanted}])
    return await cursor.to_list()


def _written_out(lookup: Mapping[str, Any], values: Mapping[str, Any]) -> list[Any]:
    """The lookup's pipeline for these values."""
    variables = {f"$${name}": {"$literal": values[name]} for name in lookup.get("let", {})}
    pipeline = [_replaced(stage, variables) for stage in lookup.get("pipeline", [])]
    if "localField" not in lookup:
        return pipeline
    local = values["local"]
    return [{"$match": {lookup["foreignField"]: {"$in": local} if isinstance(local, list) else local}}, *pipeline]


def _replaced(part: Any, variables: Mapping[str, Any]) -> Any:
    if isinstance(part, Mapping):
        return {name: _replaced(value, variables) for name, value in part.items()}
    if isinstance(part, list | tuple):
        return [_replaced(value, variables) for value in part]
    return variables.get(part, part) if isinstance(part, str) else part
