"""What the in-memory database lets through of MongoDB's language, it does as the server does.

It may refuse anything; but what it does not refuse has the server's result, and leaves the server's documents.
"""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from bson import ObjectId
from hypothesis import example, given
from hypothesis import strategies as st
from pymongo import AsyncMongoClient, ReturnDocument
from pymongo.errors import DuplicateKeyError, OperationFailure

from datalayer import Community
from datalayer.errors import NotSupportedInMemory
from datalayer.testing.memory import open_in_memory
from datalayer.testing.memory.language import ACCUMULATORS, FILTERS, UPDATES, Wire

IDS = [ObjectId(bytes([number] * 12)) for number in range(1, 5)]
ids, few = st.sampled_from(IDS), st.integers(0, 3)

PREFS = dict.fromkeys(("emailComments", "emailReplies", "emailFollowers", "emailEvents", "emailCourses"), True)
prefs = st.booleans().map(lambda on: {**PREFS, "emailDMs": on, "digestFrequency": "off"})

REQUIRED: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    "users": {
        "visibility": st.sampled_from(["public", "private"]),
        "role": st.sampled_from(["admin", "member"]),
        "points": few,
        "level": st.integers(1, 3),
        "createdAt": few,
        "updatedAt": few,
    },
    "conversations": {
        "participantIds": st.lists(ids, min_size=2, max_size=2, unique=True).map(sorted),
        "lastMessageAt": few,
    },
}
OPTIONAL: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    "users": {
        "name": st.sampled_from(["Ada", "$name"]),
        "authUserId": st.sampled_from(["a", "b", "c"]),
        "revision": few,
        "notificationPrefs": prefs,
    },
    "conversations": {"lastMessagePreview": st.sampled_from(["", "a", "b"]), "revision": few},
}
FURTHER: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    "users": {"notificationPrefs.emailDMs": st.booleans(), "nothing": few},
    "conversations": {"participantIds.0": ids, "participantIds.1": ids},
}
VALUES = {table: {"_id": ids, **REQUIRED[table], **OPTIONAL[table], **FURTHER[table]} for table in REQUIRED}

wrong = st.one_of(st.none(), st.booleans(), st.just(1.0), st.just(-1), st.just("a"), st.just([]), st.just({}), ids)


def _documents(table: str) -> st.SearchStrategy[list[Wire]]:
    one = st.fixed_dictionaries({"_id": ids, **REQUIRED[table]}, optional=OPTIONAL[table])
    unique = [lambda wire: wire["_id"], lambda wire: str(wire.get("participantIds", wire["_id"]))]
    several = st.lists(one, min_size=1, max_size=4, unique_by=tuple(unique))
    return several.filter(lambda wires: len(names := [w["authUserId"] for w in wires if "authUserId" in w])
                          == len(set(names)))  # fmt: skip


def _mostly(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(values, values, values, wrong)


def _condition(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    def operand(name: str) -> st.SearchStrategy[Any]:
        if name == "$in":
            return st.lists(_mostly(values), max_size=3)
        if name == "$not":
            return st.fixed_dictionaries({"$gte": _mostly(values)})
        return st.booleans() if name == "$exists" else _mostly(values)

    operators = st.sampled_from([*FILTERS]).flatmap(lambda name: operand(name).map(lambda value: {name: value}))
    return st.one_of(_mostly(values), operators, st.builds(lambda one, other: one | other, operators, operators))


def _filters(table: str) -> st.SearchStrategy[Wire]:
    field = st.sampled_from([*VALUES[table]])
    clause = field.flatmap(lambda name: _condition(VALUES[table][name]).map(lambda condition: {name: condition}))
    plain = st.lists(clause, max_size=2).map(lambda parts: {name: it for part in parts for name, it in part.items()})
    either = st.builds(
        lambda name, parts: {name: parts}, st.sampled_from(["$and", "$or"]), st.lists(plain, min_size=1, max_size=2)
    )
    return st.one_of(plain, either)


def _updates(table: str) -> st.SearchStrategy[Wire]:
    names = [name for name in VALUES[table] if name != "_id"]
    change = st.sampled_from(names).flatmap(lambda name: _mostly(VALUES[table][name]).map(lambda value: {name: value}))
    return st.dictionaries(st.sampled_from([*UPDATES]), change, min_size=1, max_size=2)


def _stages(table: str) -> st.SearchStrategy[Wire]:
    fields = [name for name in VALUES[table] if name != "nothing"]
    path = st.sampled_from(fields).map(lambda name: f"${name}")
    found = st.builds(lambda name, of: {name: of}, st.sampled_from([*ACCUMULATORS]), st.one_of(path, st.just(1)))
    return st.one_of(
        _filters(table).map(lambda found: {"$match": found}),
        st.builds(lambda key, x: {"$group": {"_id": key, "x": x}}, st.one_of(path, st.none()), found),
        st.dictionaries(st.sampled_from(fields), st.just(1), min_size=1).map(lambda names: {"$project": names}),
        st.sampled_from([{"$limit": 2}, {"$count": "x"}, {"$project": {"_id": 0}}, {"$sort": {"x": -1, "_id": 1}}]),
    )


def _operations(table: str) -> st.SearchStrategy[Any]:
    order = st.sampled_from([*VALUES[table]]).map(lambda name: {name: -1, "_id": 1})
    shown = st.dictionaries(st.sampled_from([*VALUES[table]]), st.just(1), min_size=1, max_size=2)
    filters, updates = _filters(table), _updates(table)
    one = st.builds(lambda one, found: {**found, "_id": one}, ids, filters)
    whole = {"return_document": ReturnDocument.AFTER}
    return st.one_of(
        st.builds(lambda *given: ("find", *given), filters, shown, order),
        st.builds(lambda found: ("count_documents", found), filters),
        st.builds(lambda stages: ("aggregate", [{"$sort": {"_id": 1}}, *stages]),
                  st.lists(_stages(table), min_size=1, max_size=3)),
        st.builds(lambda found, update: ("update_one", found, update), one, updates),
        st.builds(lambda found, update: ("find_one_and_update", found, update, whole), one, updates),
        st.builds(lambda one, update: ("update_one", {"_id": one}, update, {"upsert": True}), ids, updates),
        st.builds(lambda found: ("delete_many", found), filters),
        st.builds(lambda wires: ("insert_one", wires[0]), _documents(table)),
    )  # fmt: skip


cases = st.sampled_from([*REQUIRED]).flatmap(
    lambda table: st.tuples(st.just(table), _documents(table), st.lists(_operations(table), min_size=1, max_size=3))
)


@pytest.fixture(scope="module")
async def there(client: AsyncMongoClient) -> AsyncIterator[Community]:
    """A community on the server."""
    async with Community.over(client["language"]) as community:
        yield community
    await client.drop_database("language")


def _level(value: object) -> tuple[Any, ...]:
    """A change of a level of 1 to something that equals it in Python."""
    names = {"visibility": "public", "role": "member"}
    wire = {"_id": IDS[0], **names, "points": 0, "level": 1, "createdAt": 0, "updatedAt": 0}
    return "users", [wire], [("update_one", {"_id": IDS[0]}, {"$set": {"level": value}}, {"upsert": True})]


@given(cases)
@example(_level(value=True))
@example(_level(value=1.0))
async def test_the_language(there: Community, case: tuple[str, list[Wire], list[Any]]) -> None:
    """Filters, orders, projections, updates, groups: the same answers, errors and documents."""
    table, wires, operations = case
    for name in REQUIRED:
        await there.database[name].delete_many({})
    async with open_in_memory(Community) as here:
        for community in (there, here):
            await community.database[table].insert_many([dict(wire) for wire in wires])
        for operation in operations:
            before = await here.database[table].find(sort={"_id": 1}).to_list()
            try:
                found = await _outcome(here.database[table], operation)
            except NotSupportedInMemory:
                assert await here.database[table].find(sort={"_id": 1}).to_list() == before
            else:
                assert found == await _outcome(there.database[table], operation), operation


async def _outcome(collection: Any, operation: Any) -> object:
    """The answer or the error, and the documents that are there then."""
    method, *arguments = operation
    options = arguments.pop() if len(arguments) > 2 and method != "find" else {}
    if method == "find":
        options = {"sort": arguments.pop(), "projection": arguments.pop()}
    try:
        answer: Any = getattr(collection, method)(*arguments, **options)
        answer = answer if method == "find" else await answer
        if hasattr(answer, "to_list"):
            answer = sorted(await answer.to_list(), key=repr) if _has_group(arguments) else await answer.to_list()
    except OperationFailure as error:
        details = error.details or {}
        answer = isinstance(error, DuplicateKeyError), error.code, details.get("keyPattern"), details.get("keyValue")
    rows = await collection.find(sort={"_id": 1}).to_list()
    return _exact(_plain(answer), rows)


def _plain(answer: object) -> object:
    """What a result says, in either's words."""
    names = ("matched_count", "modified_count", "upserted_id", "deleted_count", "inserted_id")
    said = {name: getattr(answer, name) for name in names if hasattr(answer, name)}
    return said or answer


def _has_group(arguments: list[Any]) -> bool:
    return any("$group" in stage for stage in arguments[0] if isinstance(arguments[0], list))


def _exact(*values: Any) -> list[Any]:
    """What tells `True` from 1; fields have no order."""
    found: list[Any] = []
    for value in values:
        if isinstance(value, dict):
            found.append({name: _exact(part) for name, part in value.items()})
        else:
            found.append(_exact(*value) if isinstance(value, list) else (isinstance(value, bool), value))
    return found
