"""What `dir` and `help` show, and what the errors of wrong calls say."""

import inspect
import pydoc
import re

import pytest

import datalayer
from datalayer import Community, Stories
from datalayer.database import Database
from datalayer.engine.repository import Repository
from datalayer.errors import InvalidInputError
from tests.plans.registry import METHODS


def test_dir_shows_the_public_names() -> None:
    """They are imported when they are asked for, and shown before."""
    assert {*datalayer.__all__, "__version__"} <= set(dir(datalayer))


def repositories(database: Database) -> set[str]:
    return {name for name, value in vars(database).items() if isinstance(value, Repository)}


def test_help_lists_the_repositories(community: Community, stories: Stories) -> None:
    """Each with a line on what it is about, and no other."""
    for database in (community, stories):
        shown = pydoc.plain(pydoc.render_doc(database))
        (attributes,) = re.findall(r"Attributes:\n((?: \|      .*\n)+)", shown)
        assert set(re.findall(r"(\w+): \w.*\.\n", attributes)) == repositories(database)
        assert repositories(database) <= set(dir(database))


@pytest.mark.quick
async def test_an_argument_that_has_to_be_named_says_so(community: Community) -> None:
    """Rather than that it is missing."""
    with pytest.raises(InvalidInputError, match=r"^name: must be given by name, not by position$"):
        await community.spaces.create("General")  # type: ignore[misc]
    with pytest.raises(InvalidInputError, match=r"^name: is missing \(keyword-only argument\)$"):
        await community.spaces.create()  # type: ignore[call-arg]
    with pytest.raises(InvalidInputError, match=r"^titel: is unknown$"):
        await community.spaces.create(name="General", titel="x")  # type: ignore[call-arg]


def test_signatures_can_be_read() -> None:
    """No address of an object, and no one-letter names."""
    signatures = {name: str(inspect.signature(method)) for name, method in METHODS.items()}
    assert {name: text for name, text in signatures.items() if " at 0x" in text or re.search(r"~\w\b", text)} == {}
    assert "Annotated[str, Text(shortest=1, longest=10000)]" in signatures["comments.create"]
    assert "AnyCollection" in signatures["posts.get_many"]
