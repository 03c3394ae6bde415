"""What can be imported from where, and what an import brings along."""

import importlib
import inspect
import re
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import NewType

import pytest

import datalayer
from datalayer import documents, errors, ids

COMMUNITY = [
    *("User", "Space", "Post", "Comment", "Like", "Course", "Module", "Lesson", "Enrollment", "LessonProgress"),
    *("Event", "Rsvp", "Membership", "Notification", "Conversation", "Message", "PointsEntry", "GamificationRule"),
    *("Level", "Follow", "Report", "SpaceVisit", "CommunitySettings"),
]
STORIES = ["Story", "Chapter", "Scene", "Character"]


def test_what_is_tested() -> None:
    """The sources beside the tests; where there are none (`make test-wheel`), the package that is installed."""
    beside = Path(__file__).parents[2] / "datalayer"
    installed = Path(sysconfig.get_path("purelib")) / "datalayer"
    assert Path(datalayer.__file__).parent == (beside if beside.exists() else installed)


def test_the_package() -> None:
    """The public API on one screen."""
    assert sorted(datalayer.__all__) == ["Community", "DataLayerError", "Page", "Stories", "embedded_server"]


def test_the_documents() -> None:
    """A class for each table, and what they are made of."""
    assert [document.__name__ for document in documents.COMMUNITY_DOCUMENTS] == COMMUNITY
    assert [document.__name__ for document in documents.STORIES_DOCUMENTS] == STORIES
    parts = {"Document", "Index", "NotificationPrefs", "Record", "Recurrence", "StripeSubscription"}
    lists = {"COMMUNITY_DOCUMENTS", "STORIES_DOCUMENTS"}
    assert set(documents.__all__) == {*COMMUNITY, *STORIES, *parts, *lists}


def test_the_ids() -> None:
    """Each table has an id type of its own, and its documents have that."""
    types = {name for name, value in vars(ids).items() if isinstance(value, NewType) and name[0] != "_"}
    assert types == {f"{name}Id" for name in (*COMMUNITY, *STORIES)} | {"ChangeMark", "GenerationToken"}
    for document in (*documents.COMMUNITY_DOCUMENTS, *documents.STORIES_DOCUMENTS):
        assert document.__annotations__["id"] is getattr(ids, f"{document.__name__}Id")


def test_the_errors() -> None:
    """They are those that the module draws, each below its base."""
    drawing = (errors.__doc__ or "").split("```")[1]
    drawn = [(len(branch) // 4, name) for branch, name in re.findall(r"^([│├└─ ]*)(\w+)", drawing, flags=re.MULTILINE)]
    assert drawn == _tree(errors.DataLayerError)


def _tree(error: type[Exception], depth: int = 0) -> list[tuple[int, str]]:
    own = [kind for kind in error.__subclasses__() if kind.__module__.startswith("datalayer.")]
    return [(depth, error.__name__)] + [part for kind in own for part in _tree(kind, depth + 1)]


@pytest.mark.parametrize(
    "package",
    ["datalayer", "documents", "engine.pages", "errors", "ids", "repositories", "schema", "seeding", "server"],
)
def test_every_public_name_is_described(package: str) -> None:
    """A class or function has a docstring of its own; what a module without `__all__` defines is public."""
    module = datalayer if package == "datalayer" else importlib.import_module(f"datalayer.{package}")
    names = getattr(module, "__all__", None) or [
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and getattr(value, "__module__", None) == module.__name__
    ]
    described = [value for value in map(vars(module).get, names) if inspect.isclass(value) or inspect.isroutine(value)]
    assert [value for value in described if not vars(value).get("__doc__", value.__doc__)] == []


def test_an_import_is_quiet() -> None:
    """It brings no tool of the terminal or of tests, starts no thread, and prints nothing."""
    program = (
        "import sys, threading, datalayer\n"
        "unwanted = {'click', 'rich', 'mongomock', 'mongomock_motor', 'motor', 'pytest'} & set(sys.modules)\n"
        "assert not unwanted, unwanted\n"
        "assert threading.active_count() == 1\n"
    )
    command = [sys.executable, "-W", "error", "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own program
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
