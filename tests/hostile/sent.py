"""Where in a command a marked string stands as more than a value."""

from collections.abc import Iterator, Mapping
from typing import Any

from tests.hostile.values import MARK

Command = Mapping[str, Any]

_CODE = {"$where", "$regex", "$function", "$accumulator", "$jsonSchema", "$text", "$comment"}


def misplaced(command: Command) -> list[str]:
    """The places where a marked string is a key, code, or in an expression not protected by `$literal`."""
    kind = next(iter(command))
    return [f"{kind}: {place}" for place in _PARTS[kind](command)]


def _find(command: Command) -> Iterator[str]:
    yield from _filter(command.get("filter", {}))
    for part in ("projection", "sort", "min", "max", "hint"):
        yield from _keys(command.get(part))


def _aggregate(command: Command) -> Iterator[str]:
    yield from _pipeline(command["pipeline"])


def _insert(command: Command) -> Iterator[str]:
    for document in command["documents"]:
        # What is in `data` is the application's own.
        yield from _keys({name: value for name, value in document.items() if name != "data"})


def _updates(command: Command) -> Iterator[str]:
    for update in command["updates"]:
        yield from _filter(update["q"])
        yield from _update(update["u"])


def _deletes(command: Command) -> Iterator[str]:
    for delete in command["deletes"]:
        yield from _filter(delete["q"])


def _find_and_modify(command: Command) -> Iterator[str]:
    yield from _filter(command["query"])
    yield from _update(command.get("update", {}))
    for part in ("fields", "sort"):
        yield from _keys(command.get(part))


def _nothing(_: Command) -> Iterator[str]:
    return iter(())


_PARTS = {
    "find": _find,
    "aggregate": _aggregate,
    "insert": _insert,
    "update": _updates,
    "delete": _deletes,
    "findAndModify": _find_and_modify,
    **dict.fromkeys(("getMore", "killCursors", "commitTransaction", "abortTransaction"), _nothing),
}


def _keys(value: object) -> Iterator[str]:
    """Keys that are marked, at any depth."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if MARK in str(key):
                yield f"the key {key!r}"
            yield from _keys(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _keys(inner)


def _filter(value: object) -> Iterator[str]:
    yield from _keys(value)
    yield from _code(value)


def _code(value: object) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if key in _CODE and MARK in str(inner):
                yield f"{key}: {inner!r}"
            yield from _expression(inner) if key == "$expr" else _code(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _code(inner)


def _update(update: object) -> Iterator[str]:
    if isinstance(update, list):
        yield from _pipeline(update)
    else:
        yield from _keys(update)


def _pipeline(stages: list[Mapping[str, Any]]) -> Iterator[str]:
    for stage in stages:
        ((name, content),) = stage.items()
        yield from _keys(content)
        if name == "$match":
            yield from _filter(content)
        elif name in ("$lookup", "$unionWith"):
            yield from _pipeline(content.get("pipeline", []))
            yield from _expression({key: inner for key, inner in content.items() if key != "pipeline"})
        else:
            yield from _expression(content)


def _expression(value: object) -> Iterator[str]:
    if isinstance(value, str) and MARK in value and value.startswith("$"):
        yield f"the field path {value!r}"
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            if key != "$literal":
                yield from _expression(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _expression(inner)
