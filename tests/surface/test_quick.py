"""`make quick` has a rule of every repository."""

import re
from pathlib import Path

from tests.plans.registry import REPOSITORIES

TESTS = Path(__file__).parents[1]


def test_each_repository_has_a_quick_rule() -> None:
    """Of both products; the mark names it."""
    text = "\n".join(
        file.read_text() for product in ("community", "stories") for file in (TESTS / product).glob("*.py")
    )
    assert sorted(re.findall(r'^@pytest\.mark\.quick\("(\w+)"\)$', text, re.MULTILINE)) == sorted(REPOSITORIES)
