"""What the in-memory database understands of MongoDB's language, it understands as the server does.

It may refuse anything; but what it does not refuse has the server's result, and what the server refuses it refuses.
"""

from typing import Any

from bson import ObjectId
from hypothesis import given, settings
from hypothesis import strategies as st
from pymongo import AsyncMongoClient, ReturnDocument

from datalayer.errors import NotSupportedInMemory
from datalayer.testing.memory.pipelines import run
from datalayer.testing.memory.updates import updated
from datalayer.testing.memory.values import Wire, sent

NAMES = ["a", "b", "c"]
IDS = [ObjectId(bytes([number] * 12)) for number in range(3)]

scalars = st.one_of(
    st.none(), st.booleans(), st.integers(-2, 2), st.sampled_from(["", "x", "x y"]), st.sampled_from(IDS), st.just(1.0)
)
inner = st.dictionaries(st.sampled_from(NAMES), scalars, max_size=2)
values = st.one_of(scalars, inner, st.lists(st.one_of(scalars, inner), max_size=3))
documents = st.dictionaries(st.sampled_from(NAMES), values, max_size=3)
paths = st.sampled_from([*NAMES, "a.b", "b.a", "c.0", "a.b.c"])
some = st.lists(documents, min_size=1, max_size=4)

operands = st.one_of(scalars, st.just([]), inner)
conditions = st.one_of(
    scalars,
    st.dictionaries(st.sampled_from(["$eq", "$ne", "$gt", "$gte", "$lt", "$lte"]), operands, min_size=1, max_size=2),
    st.builds(lambda among: {"$in": among}, st.lists(scalars, max_size=3)),
    st.builds(lambda there: {"$exists": there}, st.booleans()),
    st.builds(lambda value: {"$not": {"$lte": value}}, scalars),
)
plain_filters = st.dictionaries(paths, conditions, max_size=2)
filters = st.one_of(
    plain_filters,
    st.builds(lambda kind, parts: {kind: parts}, st.sampled_from(["$and", "$or"]), st.lists(plain_filters, min_size=1)),
)


def _operations(parts: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    def call(name: str, *arguments: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
        return st.tuples(*arguments).map(lambda given: {name: list(given)})

    binary = ["$eq", "$ne", "$gt", "$lte", "$ifNull", "$add", "$and", "$max", "$concatArrays", "$mergeObjects"]
    return st.one_of(
        *(call(name, parts, parts) for name in binary),
        *(parts.map(lambda part, name=name: {name: part}) for name in ("$first", "$size", "$type")),
        call("$cond", parts, parts, parts),
        call("$slice", parts, st.sampled_from([-2, -1, 1, 2])),
        call("$split", parts, st.just(" ")),
        st.builds(lambda part, test: {"$filter": {"input": part, "cond": {test: ["$$this", 1]}}}, parts,
                  st.sampled_from(["$gt", "$ne"])),
        st.builds(lambda part: {"$replaceAll": {"input": part, "find": "x", "replacement": "y"}}, parts),
        st.builds(lambda part: {"$regexMatch": {"input": part, "regex": "[ x]"}}, parts),
        st.builds(lambda case, then, default: {"$switch": {"branches": [{"case": case, "then": then}],
                  "default": default}}, parts, parts, parts),
        st.lists(parts, max_size=2),
        st.dictionaries(st.sampled_from(NAMES), parts, max_size=2),
    )  # fmt: skip


leaves = st.one_of(paths.map(lambda path: f"${path}"), scalars, values.map(lambda value: {"$literal": value}))
expressions = st.recursive(leaves, _operations, max_leaves=4)
accumulators = st.one_of(
    st.builds(lambda name, path: {name: f"${path}"}, st.sampled_from(["$sum", "$push", "$min"]), paths),
    st.builds(lambda path: {"$firstN": {"input": f"${path}", "n": 2}}, paths),
)
stages = st.one_of(
    filters.map(lambda condition: {"$match": condition}),
    expressions.map(lambda expression: {"$match": {"$expr": expression}}),
    expressions.map(lambda expression: {"$set": {"b": expression}}),
    st.lists(st.sampled_from(NAMES), min_size=1, max_size=2, unique=True).map(lambda names: {"$unset": names}),
    st.builds(lambda path, expression: {"$project": {path: 1, "x": expression}}, paths, expressions),
    paths.map(lambda path: {"$project": {path: 1}}),
    st.builds(lambda path, found: {"$group": {"_id": f"${path}", "x": found}}, paths, accumulators),
    st.builds(lambda name, direction: {"$sort": {name: direction}}, paths, st.sampled_from([1, -1])),
    st.sampled_from([{"$limit": 2}, {"$count": "x"}, {"$unwind": "$a"}, {"$replaceWith": "$a"}]),
)


@settings(max_examples=150)
@given(some, stages)
async def test_stages(client: AsyncMongoClient, wires: list[Wire], stage: Wire) -> None:
    """Filters, expressions, groups and orders."""
    wires = [{"_id": number, **wire} for number, wire in enumerate(wires)]
    try:
        here = run(sent(wires), [sent(stage)], _no_collection, {})
    except NotSupportedInMemory:
        return
    there = await (await client.admin.aggregate([{"$documents": wires}, stage])).to_list()
    if "$group" in stage:
        here, there = (sorted(groups, key=repr) for groups in (here, there))
    assert _exact(here) == _exact(there)


@settings(max_examples=80)
@given(
    documents,
    st.one_of(
        st.dictionaries(
            st.sampled_from(["$set", "$inc", "$max", "$unset", "$setOnInsert"]),
            st.dictionaries(paths, scalars, min_size=1, max_size=2),
            min_size=1,
            max_size=2,
        ),
        st.lists(
            st.one_of(expressions.map(lambda expression: {"$set": {"b": expression}}), st.just({"$unset": ["a", "c"]})),
            min_size=1,
            max_size=2,
        ),
    ),
)
async def test_updates(client: AsyncMongoClient, wire: Wire, update: Any) -> None:
    """Operators and pipelines."""
    wire = {"_id": 1, **wire}
    try:
        here = updated(sent(wire), sent(update))
    except NotSupportedInMemory:
        return
    scratch = client["contract_scratch"].updates
    await scratch.replace_one({"_id": 1}, wire, upsert=True)
    there = await scratch.find_one_and_update({"_id": 1}, update, return_document=ReturnDocument.AFTER)
    assert _exact(here) == _exact(there)


def _no_collection(name: str) -> Any:
    raise AssertionError(name)


def _exact(value: Any) -> Any:
    """What tells `True` from 1; fields have no order."""
    if isinstance(value, dict):
        return {name: _exact(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_exact(part) for part in value]
    return isinstance(value, bool), value
