"""Explains commands: asks the server for the plan of a command that was sent."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pymongo.asynchronous.database import AsyncDatabase

PLANNED = {"find", "aggregate", "count", "distinct", "update", "delete", "findAndModify"}
"""The commands that have a query plan."""

# Fields that the driver adds for the session, the transaction and the deadline, and that `explain` does not accept.
_ENVELOPE = {
    *("lsid", "$clusterTime", "$db", "$readPreference", "txnNumber", "autocommit", "startTransaction"),
    *("readConcern", "writeConcern", "maxTimeMS"),
}
_GROUPING = {"group", "hash_agg", "GROUP"}
_INPUTS = ("inputStage", "inputStages", "outerStage", "innerStage", "thenStage", "elseStage")
_WRITTEN = ("nMatched", "nWouldDelete")


@dataclass
class Plan:
    """A query plan and its cost.

    Attributes:
        stages: The stages of the query and of the aggregation pipeline, by the server's names.
        indexes: The indexes that it uses.
        of_tables: The indexes with their collections, without those of lookups, which the server does not report.
        scans: The collection scans.
        sorts: True if it sorts documents in memory.
        keys: The number of index keys examined, including those of lookups.
        returned: The number of documents returned, changed or removed. If it groups or counts: the number of documents
            grouped or counted.
        groups: True if it groups or counts documents.
        sorts_groups: True if it sorts groups.
    """

    stages: list[str] = field(default_factory=list[str])
    indexes: set[str] = field(default_factory=set[str])
    of_tables: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])
    scans: list[str] = field(default_factory=list[str])
    sorts: bool = False
    keys: int = 0
    returned: int = 0
    groups: bool = False
    sorts_groups: bool = False

    @property
    def faults(self) -> list[str]:
        """The properties that a plan should not have."""
        return [*self.scans, *(["sorts documents"] if self.sorts else [])]


def statements(command: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Split a command into statements, each with its own query plan. Empty if the command has no query."""
    kind = next(iter(command))
    if kind not in PLANNED:
        return []
    plain = {name: value for name, value in command.items() if name not in _ENVELOPE}
    many = {"update": "updates", "delete": "deletes"}.get(kind)
    return [plain] if many is None else [plain | {many: [one]} for one in command[many]]


async def explain(database: AsyncDatabase[dict[str, Any]], statement: Mapping[str, Any]) -> Plan:
    """Return the plan of a statement. The server runs the statement for that, without changing anything."""
    explained = await database.command("explain", statement, verbosity="executionStats")
    plan = Plan()
    if "stages" in explained:
        _read_stages(explained["stages"], plan)
    else:
        _read_query(explained, plan)
    return plan


def _read_stages(stages: Sequence[Mapping[str, Any]], plan: Plan) -> None:
    """Read the stages of an aggregation."""
    into = 0
    for stage in stages:
        name = next(key for key in stage if key.startswith("$"))
        plan.stages.append(name)
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
        plan.scans.append(f"a lookup scans the collection {stage['$lookup']['from']}")
    plan.indexes |= set(stage["indexesUsed"])
    plan.keys += int(stage["totalKeysExamined"])


def _read_sort(plan: Plan) -> None:
    if plan.groups:
        plan.sorts_groups = True
    else:
        plan.sorts = True


def _read_query(explained: Mapping[str, Any], plan: Plan) -> None:
    """Read the plan of a find, update or delete, or of the part of an aggregation that the server made one plan of."""
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
    stage = str(node["stage"])
    plan.stages.append(stage)
    if stage == "IDHACK":
        plan.indexes.add("_id_")
    elif stage in ("COLLSCAN", "EOF"):
        plan.scans.append(stage)
    elif stage == "SORT":
        if any(below["stage"] == "GROUP" for below in _nodes(node)):
            plan.sorts_groups = True
        else:
            plan.sorts = True
    elif stage == "EQ_LOOKUP" and node["strategy"] != "IndexedLoopJoin":
        plan.scans.append(f"a lookup in {node['foreignCollection']} is a {node['strategy']}")
    if "indexName" in node:
        plan.indexes.add(node["indexName"])


def _add(plan: Plan, other: Plan) -> None:
    plan.stages += other.stages
    plan.indexes |= other.indexes
    plan.of_tables |= other.of_tables
    plan.scans += other.scans
    plan.sorts = plan.sorts or other.sorts
    plan.keys += other.keys


def _nodes(node: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield node
    for below in _below(node):
        yield from _nodes(below)


def _below(node: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for name in _INPUTS:
        value = node.get(name, [])
        yield from value if isinstance(value, list) else [value]
