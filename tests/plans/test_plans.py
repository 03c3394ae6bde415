"""Every query of every public method is served by a declared index; the docstring's "Cost:" line names it and the cost.

The methods are called in a filled database, and what they send is explained by the server. What must be true of a plan:

- It scans no collection, and sorts no documents in memory; groups that it made it may sort, and the docstring says so.
- It goes by indexes that the documents declare, and by exactly those that the docstring of the method names.
- It examines `calls.FACTOR` keys for each document that it returns or changes, and a few to seek the first; where it
  needs more the example says how many, and why.
- The method takes as many commands as the docstring says: none of the numbers of round trips there is too low, and each
  is that of some example. The commit of a transaction is one of them.
"""

import re

import pytest

from datalayer.documents import COMMUNITY_DOCUMENTS, STORIES_DOCUMENTS
from datalayer.engine.indexes import ORIGINAL
from tests.plans import docstrings
from tests.plans.calls import FACTOR, SEEKS
from tests.plans.observing import Observed, Observer
from tests.plans.registry import CALLS, METHODS

pytestmark = pytest.mark.quick

TABLES = {document.Settings.name: document for document in (*COMMUNITY_DOCUMENTS, *STORIES_DOCUMENTS)}
DECLARED = {index.name for document in TABLES.values() for index in document.Settings.indexes}


def test_every_method_has_an_example() -> None:
    assert sorted(METHODS.keys() - CALLS.keys()) == []


def test_every_example_is_of_a_method() -> None:
    assert sorted(CALLS.keys() - METHODS.keys()) == []


def test_higher_costs_have_a_reason() -> None:
    calls = [call for examples in CALLS.values() for call in examples]
    assert [str(call) for call in calls if (call.factor, call.seeks) != (FACTOR, SEEKS) and not call.why] == []


@pytest.mark.parametrize("method", METHODS)
def test_the_docstring_ends_with_the_cost(method: str) -> None:
    """One last paragraph "Cost: ..."; neither indexes nor round trips are named before it."""
    before, last = docstrings.split(METHODS[method])
    assert last.startswith("Cost: ")
    assert [word for word in ("Cost:", "round trip", " by_") if word in before] == []


@pytest.mark.parametrize("method", METHODS)
async def test_plans(observer: Observer, method: str) -> None:
    """No scan of a collection and no sort of documents, also inside of lookups; and no more keys than stated."""
    found = [fault for observed in await observer.of(method) for fault in _faults(observed)]
    assert found == []


@pytest.mark.parametrize("method", METHODS)
async def test_the_docstring_names_the_indexes(observer: Observer, method: str) -> None:
    used = {index for observed in await observer.of(method) for index in observed.indexes}
    assert used - {"_id_"} <= DECLARED
    assert docstrings.indexes(METHODS[method]) == used - {"_id_"}


@pytest.mark.parametrize("method", METHODS)
async def test_the_docstring_states_the_round_trips(observer: Observer, method: str) -> None:
    seen = {str(observed.call): observed.round_trips for observed in await observer.of(method)}
    stated = docstrings.round_trips(METHODS[method])
    assert stated, "it says nothing of round trips"
    assert max(stated) == max(seen.values()), seen
    assert stated <= set(seen.values()), seen


async def test_every_index_serves_a_method(observer: Observer) -> None:
    """But those that the original has are there in any case, and staged ones are for what comes next."""
    used: set[tuple[str, str]] = set()
    for method in METHODS:
        for observed in await observer.of(method):
            used |= observed.of_tables
    idle = [
        f"{table}.{index.name}"
        for table, document in TABLES.items()
        for index in document.Settings.indexes
        if index.why != ORIGINAL and not index.staged and (table, index.name) not in used
    ]
    assert idle == []


def _faults(observed: Observed) -> list[str]:
    call, faults = observed.call, list[str]()
    for statement, plan in (*observed.plans, *observed.inner):
        what = next(iter(statement))
        faults += [f"{call}: {what} of {statement[what]}: {fault}" for fault in plan.faults]
    for statement, plan in observed.plans:
        what = next(iter(statement))
        if plan.keys > call.factor * plan.returned + call.seeks:
            faults.append(f"{call}: {what} of {statement[what]}: {plan.keys} keys for {plan.returned} documents")
        if plan.sorts_groups and not re.search(r"\bsorts\b", docstrings.cost(METHODS[call.method])):
            faults.append(f"{call}: {what} of {statement[what]}: sorts groups, and the docstring does not say so")
        if plan.groups and not call.why:
            faults.append(f"{call}: {what} of {statement[what]}: groups documents, and nobody says why")
    return faults
