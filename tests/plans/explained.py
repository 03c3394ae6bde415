"""What the server says about the plan of a command that was sent."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pymongo.asynchronous.database import AsyncDatabase

Database = AsyncDatabase[dict[str, Any]]
Command = dict[str, Any]

PLANNED = {"find", "aggregate", "update", "delete", "findAndModify"}
UNPLANNED = {"insert", "commitTransaction"}

# What the driver adds for the session, the transaction and the deadline: a plan cannot be asked for with it.
_ENVELOPE = {
    *("lsid", "$clusterTime", "$db", "$readPreference", "txnNumber", "autocommit", "startTransaction"),
    *("readConcern", "writeConcern", "maxTimeMS"),
}
_GROUPING = {"group", "hash_agg", "GROUP"}
_INPUTS = ("inputStage", "inputStages", "outerStage", "innerStage", "thenStage", "elseStage")
_WRITTEN = ("nMatched", "nWouldDelete")


@dataclass
class Plan:
    """A plan, and what it cost.

    Attributes:
        indexes: The indexes that it goes by.
        of_tables: The same, each with its table; but without those of lookups, where the server does not tell.
        faults: What should not be in a plan.
        keys: How many index keys it examined, those of lookups included.
        returned: How many documents it returned, changed or removed; where it groups or counts, how many it did so of.
        groups: Whether it groups or counts documents.
        sorts_groups: Whether it sorts the groups that it made.
    """

    indexes: set[str] = field(default_factory=set)
    of_tables: set[tuple[str, str]] = field(default_factory=set)
    faults: list[str] = field(default_factory=list)
    keys: int = 0
    returned: int = 0
    groups: bool = False
    sorts_groups: bool = False


def statements(command: Command) -> list[Command]:
    """Each part of a command that has a plan of its own, as a command of its own."""
    kind = next(iter(command))
    if kind in UNPLANNED:
        return []
    assert kind in PLANNED, f"nobody knows how to read the plan of {kind}"
    plain = {name: value for name, value in command.items() if name not in _ENVELOPE}
    many = {"update": "updates", "delete": "deletes"}.get(kind)
    return [plain] if many is None else [plain | {many: [one]} for one in command[many]]


async def explain(database: Database, statement: Command) -> Plan:
    """The plan of a statement; it is run for that, but changes nothing."""
    explained = await database.command("explain", statement, verbosity="executionStats")
    plan = Plan()
    if "stages" in explained:
        _read_stages(explained["stages"], plan)
    else:
        _read_query(explained, plan)
    return plan


def _read_stages(stages: list[dict[str, Any]], plan: Plan) -> None:
    """The stages of an aggregation, one after the other."""
    into = 0
    for stage in stages:
        name = next(key for key in stage if key.startswith("$"))
        if name == "$cursor":
            _read_query(stage["$cursor"], plan)
        elif name == "$lookup":
            _read_lookup(stage, plan)
        elif name == "$unionWith":
            other = Plan()
            _read_stages(stage["$unionWith"]["pipeline"], other)
            _add(plan, other)
        elif name == "$group":
            plan.groups = True
            plan.returned = max(plan.returned, into)
        elif name == "$sort":
            _read_sort(plan)
        into = int(stage["nReturned"])
    plan.returned = max(plan.returned, into) if plan.groups else into


def _read_lookup(stage: Mapping[str, Any], plan: Plan) -> None:
    if stage["collectionScans"]:
        plan.faults.append(f"a lookup scans the collection {stage['$lookup']['from']}")
    plan.indexes |= set(stage["indexesUsed"])
    plan.keys += int(stage["totalKeysExamined"])


def _read_sort(plan: Plan) -> None:
    if plan.groups:
        plan.sorts_groups = True
    else:
        plan.faults.append("sorts documents")


def _read_query(explained: Mapping[str, Any], plan: Plan) -> None:
    """The plan of a find, an update or a delete, or of as much of an aggregation as the server has made one plan."""
    winning = explained["queryPlanner"]["winningPlan"]
    table = explained["queryPlanner"]["namespace"].partition(".")[2]
    tree = list(_nodes(winning.get("queryPlan", winning)))
    plan.groups = plan.groups or any(node["stage"] == "GROUP" for node in tree)
    for node in tree:
        _read_node(node, plan)
        if "indexName" in node:
            plan.of_tables.add((node.get("foreignCollection", table).rpartition(".")[2], node["indexName"]))
    stats = explained["executionStats"]
    plan.keys += int(stats["totalKeysExamined"])
    plan.returned = int(stats["nReturned"])
    for node in _nodes(stats["executionStages"]):
        written = (int(node.get(name, 0)) for name in _WRITTEN)
        into = (int(below.get("nReturned", 0)) for below in _below(node) if node["stage"] in _GROUPING)
        plan.returned = max(plan.returned, *written, *into, 0)


def _read_node(node: Mapping[str, Any], plan: Plan) -> None:
    stage = node["stage"]
    if stage == "IDHACK":
        plan.indexes.add("_id_")
    elif stage in ("COLLSCAN", "EOF"):
        plan.faults.append(stage)
    elif stage == "SORT":
        if any(below["stage"] == "GROUP" for below in _nodes(node)):
            plan.sorts_groups = True
        else:
            plan.faults.append("sorts documents")
    elif stage == "EQ_LOOKUP" and node["strategy"] != "IndexedLoopJoin":
        plan.faults.append(f"a lookup in {node['foreignCollection']} is a {node['strategy']}")
    if "indexName" in node:
        plan.indexes.add(node["indexName"])


def _add(plan: Plan, other: Plan) -> None:
    plan.indexes |= other.indexes
    plan.of_tables |= other.of_tables
    plan.faults += other.faults
    plan.keys += other.keys


def _nodes(node: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield node
    for below in _below(node):
        yield from _nodes(below)


def _below(node: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for name in _INPUTS:
        value = node.get(name, [])
        yield from value if isinstance(value, list) else [value]
