"""The reference has everything that the library has."""

import importlib
import inspect
import re
from collections.abc import Iterator
from typing import Any

import pytest

import datalayer.testing
from datalayer import Community, DataLayerError, Stories
from datalayer.database import Database
from datalayer.documents import COMMUNITY_DOCUMENTS, STORIES_DOCUMENTS
from datalayer.engine.repository import Queries, Repository, SoftDeletingRepository
from datalayer.errors import RuleViolationError
from tests.documentation.markdown import ROOT

REFERENCE = ROOT / "docs/reference"

_DIRECTIVE = re.compile(r"^::: (\S+)\n((?:    .*\n)*)", flags=re.MULTILINE)


def directives(pattern: str) -> Iterator[tuple[Any, dict[str, str]]]:
    """The objects that the pages describe, with the options for each."""
    text = "\n".join(path.read_text("utf-8") for path in sorted(REFERENCE.glob(pattern)))
    for path, options in _DIRECTIVE.findall(text + "\n"):
        try:
            found = importlib.import_module(path)
        except ModuleNotFoundError:
            module, _, name = path.rpartition(".")
            found = getattr(importlib.import_module(module), name)
        yield found, dict(re.findall(r"^ +(\w+): (.+)$", options, flags=re.MULTILINE))


@pytest.mark.parametrize("kind", [Community, Stories])
async def test_every_repository_is_under_its_name_with_all_its_methods(
    kind: type[Database], community: Community, stories: Stories
) -> None:
    """Its own methods come by themselves, those of a base have to be asked for; and what they give is there."""
    name = kind.__name__.lower()
    pages = "stories.md" if kind is Stories else "community/*.md"
    described = {options.get("heading"): (found, options) for found, options in directives(pages)}
    classes = {found for found, _ in directives(pages)}
    for attribute, repository in vars(community if kind is Community else stories).items():
        if not isinstance(repository, Repository):
            continue
        found, options = described[f"{name}.{attribute}"]
        assert found is type(repository)
        bases = [base for base in found.__mro__[1:] if base not in (Queries, Repository, SoftDeletingRepository)]
        inherited = {
            method
            for base in bases
            for method, function in vars(base).items()
            if inspect.iscoroutinefunction(function) and not method.startswith("_") and method not in vars(found)
        }
        assert set(re.findall(r"\w+", options.get("inherited_members", ""))) == inherited
        assert {result for result in results(found) if result.__module__ == found.__module__} <= classes


def results(repository: type) -> Iterator[type]:
    """The classes in what a repository's methods give."""
    for method in vars(repository).values():
        if inspect.iscoroutinefunction(method):
            returned = inspect.signature(method).return_annotation
            for part in (returned, *getattr(returned, "__args__", ())):
                if isinstance(part, type):
                    yield part


def test_every_document_is_described() -> None:
    assert {found for found, _ in directives("documents.md")} >= {*COMMUNITY_DOCUMENTS, *STORIES_DOCUMENTS}


def test_every_kind_of_error_has_its_row() -> None:
    """But for those of rules, which have a table of their own, of the start of a server, and of tests."""
    page = (REFERENCE / "errors.md").read_text("utf-8").split("## Rule violations")[0]
    rows = dict(re.findall(r"^\| `(\w+)` \| `(\w+)` \|", page, flags=re.MULTILINE))
    rows["RuleViolationError"] = "rule_violation"
    elsewhere = {"ServerStartError", "StandaloneServerError", "NotSupportedInMemory"}

    def kinds(kind: type[DataLayerError]) -> Iterator[type[DataLayerError]]:
        for below in kind.__subclasses__():
            yield below
            if below.code != "rule_violation":
                yield from kinds(below)

    assert rows == {kind.__name__: kind.code for kind in kinds(DataLayerError) if kind.__name__ not in elsewhere}


def test_every_rule_has_its_row(community: Community, stories: Stories) -> None:
    """With its code, and the methods whose docstrings name it."""
    page = (REFERENCE / "errors.md").read_text("utf-8")
    rows = re.findall(r"^\| `(\w+)` \| `(\w+)` \| (`\w+\.\w+`.*) \|$", page, flags=re.MULTILINE)
    methods = {
        f"{name}.{method}": function.__doc__ or ""
        for name, repository in {**vars(community), **vars(stories)}.items()
        if isinstance(repository, Repository)
        for method, function in inspect.getmembers(type(repository), inspect.iscoroutinefunction)
    }
    raised = {
        (kind.__name__, kind.code, frozenset(name for name, text in methods.items() if f"{kind.__name__}:" in text))
        for kind in RuleViolationError.__subclasses__()
        if kind.__module__ == "datalayer.errors"
    }
    assert {(kind, code, frozenset(re.findall(r"`(.+?)`", names))) for kind, code, names in rows} == raised


def test_the_tools_for_tests_are_described() -> None:
    """Everything that `datalayer.testing` exports."""
    described = {found for found, _ in directives("testing.md")}
    assert described == {getattr(datalayer.testing, name) for name in datalayer.testing.__all__}


def test_every_page_is_in_the_navigation() -> None:
    """The build finds it out too, but is no part of the tests."""
    pages = {str(path.relative_to(ROOT / "docs")) for path in (ROOT / "docs").rglob("*.md")}
    named = set(re.findall(r"^ +- (?:[^#:\n]+: )?(\S+\.md)$", (ROOT / "mkdocs.yml").read_text(), flags=re.MULTILINE))
    assert named == pages
