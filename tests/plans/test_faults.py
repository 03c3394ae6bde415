"""The proof sees what it should: plans that are wrong are told from those that are right."""

from typing import Any

import pytest

from datalayer.testing import Command
from datalayer.testing.explained import explain, statements
from tests.plans.docstrings import indexes, round_trips
from tests.plans.lookups import inner_plans
from tests.plans.observing import Observer, planned

MINE = {"$match": {"name": {"$exists": True}}}
GROUP = {"$group": {"_id": "$authorId", "posts": {"$sum": 1}}}


def _lookup(table: str, field: str, **more: Any) -> dict[str, Any]:
    return {"$lookup": {"from": table, "localField": "_id", "foreignField": field, "as": "found", **more}}


def _aggregate(table: str, *stages: dict[str, Any]) -> dict[str, Any]:
    return {"aggregate": table, "pipeline": list(stages), "cursor": {}, "lsid": {"id": 1}}


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "find": ({"find": "posts", "filter": {"content": "x"}}, "COLLSCAN"),
    "sort": ({"find": "posts", "filter": {}, "sort": {"content": 1}, "hint": "by_createdAt"}, "sorts documents"),
    "update": (
        {"update": "posts", "updates": [{"q": {"content": "x"}, "u": {"$set": {"content": "y"}}}]},
        "COLLSCAN",
    ),
    "delete": ({"delete": "posts", "deletes": [{"q": {"content": "x"}, "limit": 0}]}, "COLLSCAN"),
    "findAndModify": ({"findAndModify": "posts", "query": {"content": "x"}, "remove": True}, "COLLSCAN"),
    "aggregate": (_aggregate("posts", {"$match": {"content": "x"}}, GROUP), "COLLSCAN"),
    "sort in an aggregation": (
        _aggregate("users", MINE, _lookup("posts", "authorId"), {"$sort": {"found": 1}}),
        "sorts",
    ),
    "lookup": (_aggregate("users", _lookup("posts", "authorName")), "lookup"),
    "lookup with a pipeline": (_aggregate("users", _lookup("posts", "content", pipeline=[{"$limit": 1}])), "COLLSCAN"),
    "sort in a lookup": (
        _aggregate("users", _lookup("posts", "authorId", pipeline=[{"$sort": {"content": 1}}])),
        "sorts documents",
    ),
    "sort in a lookup in a lookup": (
        _aggregate(
            "users",
            _lookup(
                "posts",
                "authorId",
                pipeline=[_lookup("comments", "postId", pipeline=[{"$sort": {"content": 1}}])],
            ),
        ),
        "sorts documents",
    ),
    "sort in a union": (
        _aggregate(
            "users",
            {"$match": {"role": "admin"}},
            {"$unionWith": {"coll": "posts", "pipeline": [{"$match": {"authorName": "x"}}, {"$sort": {"title": 1}}]}},
        ),
        "sorts documents",
    ),
}


@pytest.mark.parametrize("name", WRONG)
async def test_a_wrong_plan_is_seen(observer: Observer, name: str) -> None:
    command, fault = WRONG[name]
    found: list[str] = []
    for statement in statements(command):
        for plan in (await explain(observer.database, statement), *await inner_plans(observer.database, statement)):
            found += plan.faults
    assert any(fault in one for one in found), found


async def test_groups_may_be_sorted(observer: Observer) -> None:
    command = _aggregate("posts", {"$match": {"createdAt": {"$gt": 0}}}, GROUP, {"$sort": {"posts": -1}})
    plan = await explain(observer.database, statements(command)[0])
    assert (plan.faults, plan.groups, plan.sorts_groups) == ([], True, True)
    assert plan.keys == plan.returned > 100


async def test_a_command_that_nobody_can_read_is_not_passed_over() -> None:
    with pytest.raises(AssertionError, match="mapReduce"):
        planned(Command("mapReduce", "posts", {"mapReduce": "posts"}))


async def test_a_docstring_is_read() -> None:
    async def method() -> None:
        """Find 7 things, as by_three does in 9 round trips.

        Raises:
            NotFoundError: There are only 8.

        Cost: 1 round trip; index by_one. One transaction, 12 round trips for each 1,000; index by_two. It reads 30
        keys.
        """

    assert indexes(method) == {"by_one", "by_two"}
    assert round_trips(method) == {1, 12}
