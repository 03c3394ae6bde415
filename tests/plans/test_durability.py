"""What a method that changes something returns is durable, also where it finds that nothing has to be changed.

A write, and the commit of a transaction, wait until a majority has all that was written before, also where they change
nothing themselves. A read does not, unless it asks for what a majority has.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from datalayer.testing import Command
from tests.plans.calls import Call
from tests.plans.observing import Observer
from tests.plans.registry import CALLS, METHODS
from tests.plans.world import World

_WRITES = {"insert", "update", "delete", "findAndModify"}


async def _scene(w: World) -> Any:
    return (await w.one("scenes"))["_id"]


async def _character(w: World) -> Any:
    return (await w.one("characters"))["_id"]


WITHOUT_CHANGES = [
    Call("users.update_profile", lambda w: w.c.users.update_profile(w.author)),
    Call("users.update_notification_prefs", lambda w: w.c.users.update_notification_prefs(w.author)),
    Call("spaces.update", lambda w: w.c.spaces.update(w.space)),
    Call("posts.edit", lambda w: w.c.posts.edit(w.post)),
    Call("courses.update", lambda w: w.c.courses.update(w.course)),
    Call("lessons.update", lambda w: w.c.lessons.update(w.lesson)),
    Call("events.update", lambda w: w.c.events.update(w.event)),
    Call("community_settings.update", lambda w: w.c.community_settings.update()),
    Call("scenes.edit", lambda w, scene: w.s.scenes.edit(scene), before=_scene),
    Call("characters.update", lambda w, character: w.s.characters.update(character), before=_character),
]
"""Changes of nothing."""


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.share(2)
async def test_what_is_returned_is_durable(observer: Observer, method: str) -> None:
    """Each example of a method that changes something ends with a majority's word."""
    found = await observer.of(method)
    if any(_is_confirmed(command) for observed in found for command in observed.commands):
        assert [
            str(observed.call) for observed in found if observed.call.raises is None and _weak(observed.commands)
        ] == []


@pytest.mark.parametrize("call", WITHOUT_CHANGES, ids=str)
async def test_no_change_is_durable(observer: Observer, call: Call) -> None:
    """A change of no field returns what a majority has."""
    observed = await observer.observe(call)
    assert observed.commands
    assert _weak(observed.commands) == []


def test_all_updates_are_tried_without_changes() -> None:
    updates = {method for method in CALLS if method.partition(".")[2].startswith(("update", "edit"))}
    assert updates - {call.method for call in WITHOUT_CHANGES} == {"comments.edit"}, "it has a required argument"


def _weak(commands: list[Command]) -> list[str]:
    """The commands behind the last one that a majority has confirmed, whose results a failover could undo."""
    return list(_undone(commands))


def _undone(commands: list[Command]) -> Iterator[str]:
    for command in reversed(commands):
        if _is_confirmed(command):
            return
        if command.document.get("readConcern", {}).get("level") not in ("majority", "snapshot"):
            yield command.name


def _is_confirmed(command: Command) -> bool:
    is_write = command.name in _WRITES and "autocommit" not in command.document
    return (is_write or command.name == "commitTransaction") and command.document["writeConcern"] == {"w": "majority"}
