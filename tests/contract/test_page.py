"""The page about the databases in memory lists what they understand."""

import re
from pathlib import Path

import pytest

from datalayer.testing.memory import expressions, filters, pipelines, updates
from datalayer.testing.memory.collections import Collection

PAGE = Path(__file__).parents[2] / "docs" / "in-memory.md"

LISTED = {
    "methods": {name for name in vars(Collection) if not name.startswith("_")},
    "filters": {*filters._LOGICAL, *filters._OPERATORS},
    "updates": {*updates._OPERATORS, *updates._STAGES},
    "stages": {*pipelines._PLAIN, *pipelines._READING},
    "accumulators": {*pipelines._ACCUMULATORS, "$firstN"},
    "expressions": {*expressions._UNEVALUATED, *expressions._FUNCTIONS},
}


@pytest.mark.parametrize("row", LISTED)
def test_the_page_lists_what_is_understood(row: str) -> None:
    (line,) = re.findall(rf"^\| {row} \| (.*) \|$", PAGE.read_text(), re.MULTILINE)
    assert set(re.findall(r"`([^`]+)`", line)) == LISTED[row]
