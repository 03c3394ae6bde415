"""What the server says about the plan of a command that was sent."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pymongo.asynchronous.database import AsyncDatabase

PLANNED = {"find", "aggregate", "count", "distinct", "update", "delete", "findAndModify"}
"""The commands that the server makes a plan for."""

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
        stages: The stages of the query, and of an aggregation's pipeline, as the server calls them.
        indexes: The indexes that it goes by.
        of_tables: The same, each with its table; but without those of lookups, where the server does not tell.
        scans: Where it scans a collection.
        sorts: Whether it sorts documents in memory.
        keys: How many index keys it examined, those of lookups included.
        returned: How many documents it returned, changed or removed; where it groups or counts, how many it did so of.
        groups: Whether it groups or counts documents.
        sorts_groups: Whether it sorts the groups that it made.
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
        """What should not be in a plan."""
        return [*self.scans, *(["sorts documents"] if self.sorts else [])]


def statements(command: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Each part of a command that has a plan of its own, as a command of its own; none where nothing is looked for."""
    kind = next(iter(command))
    if kind not in PLANNED:
        return []
    plain = {name: value for name, value in command.items() if name not in _ENVELOPE}
    many = {"update": "updates", "delete": "deletes"}.get(kind)
    return [plain] if many is None else [plain | {many: [one]} for one in command[many]]


async def explain(database: AsyncDatabase[dict[str, Any]], statement: Mapping[str, Any]) -> Plan:
    """The plan of a statement; it is run for that, but changes nothing."""
    explained = await database.command("explain", statement, verbosity="executionStats")
    plan = Plan()
    if "stages" in explained:
        _read_stages(explained["stages"], plan)
    else:
        _read_query(explained, plan)
    return plan


def _read_stages(stages: Sequence[Mapping[str, Any]], plan: Plan) -> None:
    """The stages of an aggregation, one after the other."""
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
