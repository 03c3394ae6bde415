"""The reference has everything that the library has."""

import importlib
import inspect
import re
from collections.abc import Iterator
from typing import Any

import pytest

from datalayer import Community, DataLayerError, Stories
from datalayer.database import Database
from datalayer.documents import COMMUNITY_DOCUMENTS, STORIES_DOCUMENTS
from datalayer.engine.repository import Queries, Repository, SoftDeletingRepository
from tests.documentation.markdown import ROOT

REFERENCE = ROOT / "docs/reference"

_DIRECTIVE = re.compile(r"^::: (\S+)\n((?:    .*\n)*)", flags=re.MULTILINE)


def directives(page: str) -> Iterator[tuple[Any, dict[str, str]]]:
    """The objects that a page describes, with the options for each."""
    for path, options in _DIRECTIVE.findall((REFERENCE / page).read_text() + "\n"):
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
    described = {options.get("heading"): (found, options) for found, options in directives(f"{name}.md")}
    classes = {found for found, _ in directives(f"{name}.md")}
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
    """But for those of rules, which share one, of the start of a server, and of tests."""
    rows = dict(re.findall(r"^\| `(\w+)` \| `(\w+)` \|", (REFERENCE / "errors.md").read_text(), flags=re.MULTILINE))
    rows["RuleViolationError"] = "rule_violation"
    elsewhere = {"ServerStartError", "StandaloneServerError", "NotSupportedInMemory"}

    def kinds(kind: type[DataLayerError]) -> Iterator[type[DataLayerError]]:
        for below in kind.__subclasses__():
            yield below
            if below.code != "rule_violation":
                yield from kinds(below)

    assert rows == {kind.__name__: kind.code for kind in kinds(DataLayerError) if kind.__name__ not in elsewhere}


def test_every_page_is_in_the_navigation() -> None:
    """The build finds it out too, but is no part of the tests."""
    pages = {str(path.relative_to(ROOT / "docs")) for path in (ROOT / "docs").rglob("*.md")}
    named = set(re.findall(r"^ +- (?:[^#:\n]+: )?(\S+\.md)$", (ROOT / "mkdocs.yml").read_text(), flags=re.MULTILINE))
    assert named == pages
