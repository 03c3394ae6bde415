"""Every public method of every repository, with example calls."""

import inspect
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import MagicMock

import pytest

from datalayer import Community, Stories
from datalayer.engine.clock import system_clock
from datalayer.engine.repository import Repository, SoftDeletingRepository
from tests.plans import learning, meeting, people, rewards, telling, writing
from tests.plans.calls import Call, Cost
from tests.plans.world import World

Method = Callable[..., object]


def _repositories() -> dict[str, Repository]:
    """The repositories of both databases, by their attribute; of databases that are not there."""
    databases = (Community(MagicMock(), system_clock), Stories(MagicMock(), system_clock))
    return {
        name: value for database in databases for name, value in vars(database).items() if isinstance(value, Repository)
    }


SEEKS: Cost = {"factor": 2, "why": "a seek for each id"}

REPOSITORIES = _repositories()

METHODS: dict[str, Method] = {
    f"{attribute}.{name}": method
    for attribute, repository in REPOSITORIES.items()
    for name, method in inspect.getmembers(type(repository), inspect.iscoroutinefunction)
    if not name.startswith("_")
}

_FIRST = {method: name for name, method in reversed(METHODS.items())}


def about(name: str, *values: object, id: str | None = None, thorough: bool = False) -> Any:
    """The parameters of a test about a method: its name, or what is given.

    Of a method that several repositories inherit, the test of the first is enough for a run that is not thorough.
    """
    is_thorough = thorough or _FIRST[METHODS[name]] != name
    return pytest.param(*values or (name,), id=id or name, marks=[pytest.mark.thorough] if is_thorough else [])


def _of(world: World, attribute: str) -> Repository:
    return getattr(world.c, attribute, None) or getattr(world.s, attribute)


def _common(attribute: str, repository: Repository) -> Iterator[Call]:
    """Examples of the methods that every repository has."""
    table = repository.document.Settings.name
    is_soft = isinstance(repository, SoftDeletingRepository)
    alive = {"deletedAt": None} if is_soft else {}

    async def one(w: World) -> object:
        return (await w.one(table, **alive))["_id"]

    async def some(w: World) -> list[object]:
        return (await w.ids(table))[:20]

    async def removed(w: World) -> object:
        id = await one(w)
        await _of(w, attribute).delete(id)
        return id

    yield Call(f"{attribute}.get", lambda w, it: _of(w, attribute).get(it), before=one)
    yield Call(f"{attribute}.find", lambda w, it: _of(w, attribute).find(it), before=one)
    yield Call(f"{attribute}.get_many", lambda w, ids: _of(w, attribute).get_many(ids), before=some, **SEEKS)
    yield Call(f"{attribute}.delete", lambda w, it: _of(w, attribute).delete(it), before=one)
    if is_soft:
        with_deleted = {"include_deleted": True}
        case = "also where deleted"
        yield Call(f"{attribute}.get", lambda w, it: _of(w, attribute).get(it, **with_deleted), case, before=one)
        yield Call(f"{attribute}.find", lambda w, it: _of(w, attribute).find(it, **with_deleted), case, before=one)
        yield Call(
            f"{attribute}.get_many",
            lambda w, ids: _of(w, attribute).get_many(ids, **with_deleted),
            case,
            before=some,
            **SEEKS,
        )
        yield Call(f"{attribute}.restore", lambda w, it: _of(w, attribute).restore(it), before=removed)


def _calls() -> dict[str, list[Call]]:
    calls: defaultdict[str, list[Call]] = defaultdict(list)
    for module in (people, writing, learning, meeting, rewards, telling):
        for call in module.CALLS:
            calls[call.method].append(call)
    special = set(calls)
    for attribute, repository in REPOSITORIES.items():
        for call in _common(attribute, repository):
            if call.method not in special:
                calls[call.method].append(call)
    return dict(calls)


CALLS = _calls()
