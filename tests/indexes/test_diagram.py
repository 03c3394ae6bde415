"""The documentation of the schema says what the documents say."""

import itertools
import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from indexes.diagram import ADDED, COMMUNITY, DOCS, STORIES, render
from indexes.drawing import Layout
from tests.schema.test_facts import ADDED_FIELDS, DOCUMENTS, TABLES

FILES = render()
SCHEMA = FILES[DOCS / "schema.md"]
SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_files_are_up_to_date(path: Path) -> None:
    """What is in docs/ is what would be written now."""
    assert path.read_text() == FILES[path], f"{path.name} is out of date: run `python -m indexes write`"


def test_added_fields_are_those_that_the_original_does_not_have() -> None:
    """Each has a reason, and the tests of the schema know the same ones."""
    added = {
        name: {field.alias for field in DOCUMENTS[name].model_fields.values()} - {"_id"} - table["fields"].keys()
        for name, table in TABLES.items()
    }
    assert {name: set(fields) for name, fields in ADDED.items()} == {
        name: fields for name, fields in added.items() if fields
    }
    assert {name: set(fields) for name, fields in ADDED.items()} == ADDED_FIELDS


@pytest.mark.parametrize("layout", [COMMUNITY, STORIES], ids=lambda layout: layout.hub)
def test_pictures_show_each_collection_once(layout: Layout) -> None:
    """In a column and in a family; no two of the boxes overlap, and nothing lies outside."""
    placed = [name for column in layout.columns for name in column]
    assert sorted(placed) == sorted(name for family in layout.families for name in family.members)
    picture = ET.fromstring(FILES[DOCS / f"schema-{'community' if layout is COMMUNITY else 'stories'}.svg"])  # noqa: S314
    width, height = float(picture.get("width", 0)), float(picture.get("height", 0))
    boxes = [
        tuple(float(box.get(name, 0)) for name in ("x", "y", "width", "height"))
        for box in picture.iter(f"{SVG}rect")
        if box.get("rx") == "6"
    ]
    assert len(boxes) == len(placed) == len(set(placed))
    for (x, y, w, h), (other_x, other_y, other_w, other_h) in itertools.combinations(boxes, 2):
        assert x + w <= other_x or other_x + other_w <= x or y + h <= other_y or other_y + other_h <= y
    assert all(x + w < width and y + h < height for x, y, w, h in boxes)
    titles = {text.text for text in picture.iter(f"{SVG}text")}
    assert set(placed) <= titles


def test_every_field_and_index_is_listed() -> None:
    sections = {part.split("\n", 1)[0]: part for part in SCHEMA.split("\n### ")[1:]}
    assert sections.keys() == DOCUMENTS.keys()
    for name, document in DOCUMENTS.items():
        for field in document.model_fields.values():
            assert f"| `{field.alias}` | " in sections[name]
        for index in document.Settings.indexes:
            assert f"| `{index.name}` | " in sections[name]


def test_references_of_the_original_are_relationships() -> None:
    """Mermaid shows every reference, the two that may point at several collections with a line for each."""
    lines = set(re.findall(r'^    (\w+) \S+ (\w+) : "(\w+)"$', SCHEMA, flags=re.MULTILINE))
    expected = {
        (fact["type"]["id"], name, field)
        for name, table in TABLES.items()
        for field, fact in table["fields"].items()
        if isinstance(fact["type"], dict) and fact["type"].get("id", "_storage") != "_storage"
    }
    several = {(target, "likes", "targetId") for target in ("posts", "comments")}
    several |= {(target, "reports", "targetId") for target in ("posts", "comments", "users")}
    added = {("users", "conversations", "participantIds"), ("notifications", "likes", "notificationId")}
    assert lines == expected | several | added


def test_links_lead_to_headings() -> None:
    seen: dict[str, int] = {}
    anchors = set()
    for heading in re.findall(r"^#+ (.+)$", SCHEMA, flags=re.MULTILINE):
        anchor = heading.lower().replace(" ", "-")
        number = seen.get(anchor, 0)
        anchors.add(f"{anchor}-{number}" if number else anchor)
        seen[anchor] = number + 1
    assert set(re.findall(r"\(#([\w-]+)\)", SCHEMA)) <= anchors


def test_scaling_names_the_shard_keys() -> None:
    """`docs/scaling.md` is written by hand; its keys are those that the documents declare."""
    rows = re.findall(
        r"^\| `(\w+)` \| ([\w, ]+) \| .* \| .* \|$", (DOCS / "scaling.md").read_text(), flags=re.MULTILINE
    )
    declared = {
        name: document.Settings.shard_key
        for name, document in DOCUMENTS.items()
        if document.Settings.shard_key is not None
    }
    assert {name: tuple(key.split(", ")) for name, key in rows} == declared
