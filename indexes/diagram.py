"""Generates `docs/schema.md` and its diagrams from the document classes."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from pydantic.alias_generators import to_camel

from datalayer.documents import COMMUNITY_DOCUMENTS, STORIES_DOCUMENTS
from datalayer.engine.indexes import Index
from indexes.drawing import Family, Layout, draw
from indexes.entities import Entity, Field, entities

DOCS = Path(__file__).parent.parent / "docs"

COMMUNITY = Layout(
    title="Community: 23 collections",
    hub="users",
    columns=(
        ("users", "memberships", "follows", "notifications", "reports"),
        ("spaces", "spaceVisits", "posts", "comments", "likes"),
        ("courses", "modules", "lessons", "enrollments", "lessonProgress", "communitySettings"),
        ("events", "rsvps", "conversations", "messages", "points", "gamificationConfig", "levels"),
    ),
    families=(
        Family("People", "#3565c4", ("users", "memberships", "follows", "notifications")),
        Family("Spaces and posts", "#2c8056", ("spaces", "spaceVisits", "posts", "comments", "likes")),
        Family("Moderation", "#b3404a", ("reports",)),
        Family("Courses", "#a8660f", ("courses", "modules", "lessons", "enrollments", "lessonProgress")),
        Family("Events", "#7a4bb5", ("events", "rsvps")),
        Family("Messages", "#1d7f8f", ("conversations", "messages")),
        Family("Points", "#a63d86", ("points", "gamificationConfig", "levels")),
        Family("Settings", "#5b6472", ("communitySettings",)),
    ),
)

STORIES = Layout(
    title="Stories: 4 collections",
    hub="stories",
    columns=(("stories", "characters"), ("chapters", "scenes")),
    families=(
        Family("Stories", "#3565c4", ("stories",)),
        Family("Chapters and scenes", "#2c8056", ("chapters", "scenes")),
        Family("Characters", "#a8660f", ("characters",)),
    ),
)

_CONTENDED = "Lock: if other processes also write to the document, a transaction begins with a write to this field."

ADDED: Mapping[str, Mapping[str, str]] = {
    "users": {
        "name": "Copied to posts, comments and messages; the original keeps it only in its auth service.",
        "authUserId": "Links a user to an account of the auth service: `users.ensure` finds or creates the user.",
        "revision": "Lock: writing a post, comment or message conflicts with a change of the name that it copies. Two "
        "admins who demote each other conflict, and so do an award and a change of the levels.",
    },
    "spaces": {
        "revision": "Lock: two pins in one space conflict, so that there are never more than 3. "
        "Two changes of the order of the spaces conflict as well."
    },
    "posts": {"revision": _CONTENDED},
    "comments": {"revision": _CONTENDED},
    "likes": {
        "notificationId": "The grouped notification that counts the like. An unlike is subtracted from it while the "
        "notification is unread."
    },
    "notifications": {
        "gatherKey": "What the counted acts have in common, such as their target. While the notification is unread, "
        "the next act with the same recipient, type and key increments its count.",
        "gatherCount": "The number of acts that it counts.",
        "once": "The announcement that it belongs to: each recipient gets it once, no matter how often it is sent.",
    },
    "courses": {
        "revision": "Lock: changes of the order of its modules, and removals of its lessons, conflict.",
        "removing": "Removed lessons and modules for which some enrollments are not updated yet: the next removal "
        "completes that.",
    },
    "modules": {"revision": "Lock: changes of the order of its lessons conflict with each other and its removal."},
    "enrollments": {
        "revision": "Lock: two lessons that one user completes concurrently conflict, so that one of them completes "
        "the course. The removal of a lesson conflicts as well."
    },
    "events": {
        "seriesEndTime": "The end of the last occurrence of a recurring event, so that an index finds the series that "
        "are over.",
        "revision": _CONTENDED,
    },
    "memberships": {
        "stripeEventAt": "The time of the newest event of the subscription that the membership follows.",
        "stripeEventIds": "The applied events of that time, so that none is applied twice.",
        "stripeSubscriptions": "The newest state of each of the user's subscriptions: the end of a replaced "
        "subscription does not end the membership.",
    },
    "conversations": {
        "revision": "Lock: sending, deleting and restoring messages conflict, so that `lastMessageAt` and the preview "
        "belong to the newest message."
    },
    "levels": {
        "usersPending": "Identifies a change of all levels that is not yet applied to every user: the next change of "
        "levels completes it."
    },
    "stories": {"revision": "Lock: the creation of a character conflicts with the removal of the story."},
    "chapters": {"revision": "Lock: changes of the numbers of its scenes conflict with each other and its removal."},
    "scenes": {
        "generationToken": "The current generation run; only its result is accepted.",
        "generationStartedAt": "When that run started: `scenes.release_stale` ends runs that take too long.",
    },
}
"""The fields that the original schema does not have, each with its purpose. All of them are optional."""

_INTRODUCTION = """\
# The schema

The 23 collections of the community and the 4 of the story generator, as the document classes in `datalayer/documents/`
declare them and as the database enforces them. This file and its pictures are generated: `python -m indexes write`.

- [Community](#community), [story generator](#story-generator), [fields that the original does not have](#added-fields)
- Ids are `ObjectId`s. A file is the id of a file in the application's storage, a string.
- An integer is at most 2^53 - 1, and may be stored as an integral double. Times are integers: Unix milliseconds.
- An optional field without a value is absent, never null. Unknown fields are rejected.
- Strings contain no NUL. Strings with a minimum length of 1 or more are not blank. Repositories enforce all of these
  rules; the validator of the database enforces only lengths.
- Any JSON is a string, a number, a boolean, null, an id, or a list or object of them: at most 100 levels deep, without
  dates, and without keys that begin with a dollar sign or contain a dot.
- Non-unique indexes end in `_id`, so that equal keys have an order. The reason "original schema" marks indexes of the
  original schema.
"""


def render() -> dict[Path, str]:
    """Return the generated files with their contents."""
    community, stories = entities(COMMUNITY_DOCUMENTS), entities(STORIES_DOCUMENTS)
    lines = [
        _INTRODUCTION,
        *_product("Community", "schema-community.svg", COMMUNITY, community),
        *_product("Story generator", "schema-stories.svg", STORIES, stories),
        *_added(),
    ]
    return {
        DOCS / "schema.md": "\n".join(lines) + "\n",
        DOCS / "schema-community.svg": draw(COMMUNITY, community),
        DOCS / "schema-stories.svg": draw(STORIES, stories),
    }


def _product(name: str, picture: str, layout: Layout, found: Sequence[Entity]) -> Iterator[str]:
    yield from (f"## {name}", "", f"[![{layout.title}]({picture})]({picture})", "")
    for family in layout.families:
        members = ", ".join(f"[{member}](#{_anchor(member)})" for member in family.members)
        yield f"- {family.name}: {members}"
    yield from ("", "<details>", "<summary>The same as Mermaid</summary>", "", "```mermaid", "erDiagram")
    yield from _mermaid(found)
    yield from ("```", "", "</details>", "")
    for entity in found:
        yield from _section(entity)


def _mermaid(found: Sequence[Entity]) -> Iterator[str]:
    for entity in found:
        yield f"    {entity.name} {{"
        for field in entity.fields:
            marks = ["PK"] * (field.name == "_id") + ["FK"] * bool(field.targets) + ["UK"] * field.unique
            parts = [field.kind, field.name, ",".join(marks), '"optional"' if field.optional else ""]
            yield "        " + " ".join(part for part in parts if part)
        yield "    }"
    for entity in found:
        for field in entity.fields:
            for target in field.targets:
                yield f'    {target} {_cardinality(field)} {entity.name} : "{field.name}"'


def _cardinality(field: Field) -> str:
    """Return the Mermaid cardinality: how many documents are referred to, and how many may refer to one."""
    one = "}|" if field.is_list else "|o" if field.optional or len(field.targets) > 1 else "||"
    return f"{one}--{'o|' if field.unique else 'o{'}"


def _section(entity: Entity) -> Iterator[str]:
    yield from (f"### {entity.name}", "", f"`{entity.title}`. {_in_wire_names(entity.summary)}", "")
    yield from ("| field | type | optional | limits |", "|---|---|---|---|")
    for field in entity.fields:
        yield _field_row(field)
        yield from (_field_row(inner) for inner in entity.inner if inner.name.startswith(f"{field.name}."))
    yield ""
    if entity.check is not None:
        condition = json.dumps(dict(entity.check), default=lambda value: {"$oid": str(value)})
        yield from (f"Every document meets `{condition}`.", "")
    if entity.indexes:
        yield from ("| index | keys | options | why |", "|---|---|---|---|")
        yield from (_index_row(index) for index in entity.indexes)
        yield ""
    if entity.shard_key:
        yield from (f"Shard key: `{', '.join(entity.shard_key)}`; see [scaling](scaling.md).", "")


def _field_row(field: Field) -> str:
    kind = re.sub(r"#(\w+)", lambda match: f"#{_anchor(match[1])}", field.type)
    kind += ", unique" if field.unique else ""
    return f"| `{field.name}` | {kind} | {'yes' if field.optional else ''} | {field.limits} |"


def _index_row(index: Index) -> str:
    keys = ", ".join(name if direction == 1 else f"{name} descending" for name, direction in index.keys)
    options = ["unique"] * index.unique + ["staged"] * index.staged
    if index.where is not None:
        options.append(f"where `{json.dumps(dict(index.where))}`")
    return f"| `{index.name}` | {keys} | {', '.join(options)} | {index.why} |"


def _added() -> Iterator[str]:
    yield from ("## Added fields", "", "All of them are optional: documents of the original schema stay valid.", "")
    yield from ("| collection | field | why |", "|---|---|---|")
    for collection, fields in ADDED.items():
        yield from (f"| [{collection}](#{_anchor(collection)}) | `{name}` | {why} |" for name, why in fields.items())


def _anchor(name: str) -> str:
    return name.lower()


def _in_wire_names(text: str) -> str:
    """Replace the field names in a docstring by those in MongoDB."""
    return re.sub(r"`(\w+?)_?(\*?)`", lambda match: f"`{to_camel(match[1])}{match[2]}`", text)
