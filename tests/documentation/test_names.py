"""The page of actions, types and states has what the code has."""

import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pytest

import datalayer.documents
from datalayer import Community
from datalayer.engine.database import SchemaMode
from datalayer.engine.repository import Repository
from datalayer.repositories.gamification_config import DEFAULT_VALUES
from datalayer.repositories.levels import DEFAULT_LEVELS
from datalayer.repositories.points import Period
from datalayer.testing import Factories
from tests.documentation.markdown import ROOT

PAGE = (ROOT / "docs/reference/names.md").read_text("utf-8")
SOURCE = Path(__file__).read_text("utf-8")


def rows(heading: str) -> list[list[str]]:
    """The rows of the table under the heading, without the one of the titles."""
    section = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    lines = re.findall(r"^\|(.*)\|$", section, flags=re.MULTILINE)
    return [[cell.strip() for cell in line.split("|")] for line in lines[2:]]


def code(cell: str) -> list[str]:
    """The code spans of a cell."""
    return re.findall(r"`([^`]+)`", cell)


def literals() -> Iterator[tuple[str, tuple[str, ...]]]:
    """The named literals of the documents, and those of arguments."""
    for module in pkgutil.iter_modules(datalayer.documents.__path__, "datalayer.documents."):
        for name, value in vars(importlib.import_module(module.name)).items():
            if get_origin(value) is Literal:
                yield name, get_args(value)
    yield "Period", get_args(Period)
    yield "SchemaMode", get_args(SchemaMode)


def test_literal_types() -> None:
    """Each has a row with its values in order."""
    assert {code(name)[0]: tuple(code(values)) for name, values, _ in rows("Literal types")} == dict(literals())


def test_default_points_and_levels() -> None:
    """The tables are what `install_defaults` installs."""
    assert {code(action)[0]: int(points) for action, points in rows("Default points")} == DEFAULT_VALUES
    assert [(name, int(threshold.replace(",", ""))) for _, name, threshold in rows("Default levels")] == [
        (level["name"], level["threshold"]) for level in DEFAULT_LEVELS
    ]


@pytest.fixture
async def acts(community: Community) -> set[str]:
    """Every method with consequences has been called with them; their names."""
    await community.gamification_config.install_defaults()
    await community.levels.install_defaults()
    make, both = Factories(community), {"reward": True, "notify": True}
    ada, ben, cy = [await make.user(name=name) for name in ("Ada", "Ben", "Cy")]
    moderator = await make.user(role="moderator")
    space, course, event = await make.space(), await make.course(), await make.event()
    lesson = await make.lesson(module=await make.module(course=course))
    talk = await make.conversation(user=ada, other=ben)
    text = {"content": "Hello!", "content_html": "<p>Hello!</p>"}
    post = await community.posts.create(space.id, ada.id, **text, mention_ids=[cy.id], **both)
    first = await community.comments.create(post.id, ben.id, "First", mention_ids=[cy.id], **both)
    await community.comments.create(post.id, cy.id, "Reply", parent_id=first.id, **both)
    await community.likes.like(ben.id, "post", post.id, **both)
    await community.likes.toggle(cy.id, "comment", first.id, **both)
    await community.enrollments.enroll(ada.id, course.id, **both)
    await community.lesson_progress.complete(ada.id, lesson.id, **both)
    await community.rsvps.set(ada.id, event.id, "going", **both)
    await community.messages.send(talk.id, ben.id, "Hello!", notify=True)
    await community.follows.follow(ben.id, ada.id, notify=True)
    await community.users.set_role(ben.id, "moderator", notify=True)
    await community.reports.file(ada.id, "post", post.id, "spam", notify=True)
    assert (await community.notifications.recent(moderator.id)).items
    return set(re.findall(r"community\.(\w+\.\w+)\(.*(?:both|notify=True)", SOURCE))


async def test_actions_and_notification_types(community: Community, acts: set[str]) -> None:
    """The tables have what the methods with consequences leave behind, with references and data."""
    database = community.database
    entries = [entry async for entry in database.points.find()]
    assert {(entry["action"], entry["referenceType"]) for entry in entries} == {
        (code(action)[0], code(kind)[0]) for action, _, _, kind, _ in rows("Actions")
    }
    told: dict[str, Any] = {}
    async for notification in database.notifications.find():
        seen = told.setdefault(notification["type"], (set[str](), set[bool](), set[bool]()))
        seen[0].update(notification["data"] or ())
        seen[1].add("actorId" in notification)
        seen[2].add("gatherKey" in notification)
    assert told == {
        code(kind)[0]: (set(code(data)), {bool(actor)}, {bool(gathered)})
        for kind, _, _, actor, data, gathered in rows("Notification types")
    }
    named = {name for heading in ("Actions", "Notification types") for row in rows(heading) for name in code(row[1])}
    assert named - {"reward=True", "notify=True"} == acts


def test_no_method_with_consequences_is_left_out(community: Community) -> None:
    """Those that take `reward` or `notify`."""
    found = {
        f"{name}.{method}"
        for name, repository in vars(community).items()
        if isinstance(repository, Repository)
        for method, function in inspect.getmembers(type(repository), inspect.iscoroutinefunction)
        if {"reward", "notify"} & inspect.signature(function).parameters.keys()
    }
    named = {name for heading in ("Actions", "Notification types") for row in rows(heading) for name in code(row[1])}
    assert named - {"reward=True", "notify=True"} == found
