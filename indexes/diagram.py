"""`docs/schema.md` and its pictures, from the documents."""

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

_CONTENDED = "Lock: a transaction begins with a write to the document if other processes write to it as well."

ADDED: Mapping[str, Mapping[str, str]] = {
    "users": {
        "name": "Copied to posts, comments and messages. In the original, only the auth service has it.",
        "authUserId": "The user's account of the auth service: `users.ensure` finds or creates one user for it.",
        "revision": "Lock: creating a post, a comment or a message conflicts with a change of the name that it copies. "
        "So do two admins who demote each other, and an award with a change of the levels.",
    },
    "spaces": {
        "revision": "Lock: two pins in one space conflict, so that there are never more than 3; "
        "and two changes of the order of the spaces conflict."
    },
    "posts": {"revision": _CONTENDED},
    "comments": {"revision": _CONTENDED},
    "likes": {
        "notificationId": "The gathered notification that counts the like. While it is unread, an unlike takes the "
        "like back there."
    },
    "notifications": {
        "gatherKey": "What the counted acts have in common, such as their target. While the notification is unread, "
        "the next act with the same recipient, type and key increments its count.",
        "gatherCount": "The number of acts that the notification counts.",
        "once": "The name of an announcement. Each recipient gets it once, no matter who calls and how often.",
    },
    "courses": {
        "revision": "Lock: changes of the order of its modules conflict with each other and with removals of "
        "its lessons.",
        "removing": "Removed lessons and modules that not all enrollments have been updated for: the next removal "
        "completes this.",
    },
    "modules": {"revision": "Lock: changes of the order of its lessons conflict with each other and with its removal."},
    "enrollments": {
        "revision": "Lock: if a user completes two lessons concurrently, the transactions conflict, so that one of "
        "them sees that the course is complete. So does the removal of a lesson."
    },
    "events": {
        "seriesEndTime": "The end of the last occurrence of a recurring event, so that an index can tell which series "
        "are over.",
        "revision": _CONTENDED,
    },
    "memberships": {
        "stripeEventAt": "The time of the newest event of the subscription that the membership follows.",
        "stripeEventIds": "The events of that time that were applied: none is applied twice.",
        "stripeSubscriptions": "The state of each of the user's subscriptions according to its newest event. The end "
        "of a replaced subscription does not end the membership.",
    },
    "conversations": {
        "revision": "Lock: sending, deleting and restoring messages conflict, so that `lastMessageAt` and the preview "
        "are those of the newest message."
    },
    "levels": {
        "usersPending": "The mark of a change of all levels that not all users have been updated for: the next change "
        "of the levels completes it."
    },
    "stories": {"revision": "Lock: creating a character conflicts with the removal of the story."},
    "chapters": {
        "revision": "Lock: changes of the numbers of its scenes conflict with each other and with its removal."
    },
    "scenes": {
        "generationToken": "The run whose result the scene waits for. Only this result is accepted.",
        "generationStartedAt": "When that run began. `scenes.release_stale` ends runs that take too long.",
    },
}
"""The fields that the original schema does not have, all of them optional, and why each is needed."""

_INTRODUCTION = """\
# The schema

The 23 collections of the community and the 4 of the story generator, as the document classes declare them and as the
database enforces them. `python -m indexes write` generates this page and its diagrams.

- [Community](#community), [story generator](#story-generator), [fields that the original does not have](#added-fields)
- IDs are `ObjectId`s. A file is a string: the ID of a file in the application's storage.
- An integer is at most 2^53 - 1, and may be stored as a double without a fraction. Times are integers: Unix
  milliseconds.
- An optional field without a value is absent, never null. Unknown fields are refused.
- Strings contain no NUL, and are not blank if at least one character is required. Repositories enforce all of these
  rules; the validator enforces only lengths.
- "JSON" is a string, a number, a boolean, null, an ID, or a list or object of these: at most 100 levels deep, without
  dates, and without keys that begin with a dollar sign or contain a dot.
- An index that is not unique ends in `_id`, so that documents with equal keys have a defined order. "original schema"
  marks indexes that the original has.
"""


def render() -> dict[Path, str]:
    """The files and what should be in them."""
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
    yield from ("", "<details>", "<summary>Mermaid source</summary>", "", "```mermaid", "erDiagram")
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
    """How many documents are referred to, and how many may refer to one."""
    one = "}|" if field.is_list else "|o" if field.optional or len(field.targets) > 1 else "||"
    return f"{one}--{'o|' if field.unique else 'o{'}"


def _section(entity: Entity) -> Iterator[str]:
    yield from (f"### {entity.name}", "", f"`{entity.title}`. {_in_wire_names(entity.summary)}", "")
    yield from ("| Field | Type | Optional | Limits |", "|---|---|---|---|")
    for field in entity.fields:
        yield _field_row(field)
        yield from (_field_row(inner) for inner in entity.inner if inner.name.startswith(f"{field.name}."))
    yield ""
    if entity.check is not None:
        condition = json.dumps(dict(entity.check), default=lambda value: {"$oid": str(value)})
        yield from (f"Every document meets `{condition}`.", "")
    if entity.indexes:
        yield from ("| Index | Keys | Options | Why |", "|---|---|---|---|")
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
    yield from ("## Added fields", "", "They are all optional, so documents of the original schema remain valid.", "")
    yield from ("| Collection | Field | Why |", "|---|---|---|")
    for collection, fields in ADDED.items():
        yield from (f"| [{collection}](#{_anchor(collection)}) | `{name}` | {why} |" for name, why in fields.items())


def _anchor(name: str) -> str:
    return name.lower()


def _in_wire_names(text: str) -> str:
    """The docstring's names of fields as MongoDB has them."""
    return re.sub(r"`(\w+?)_?(\*?)`", lambda match: f"`{to_camel(match[1])}{match[2]}`", text)
