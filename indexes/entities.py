"""Reads the fields and references of the document classes, for the diagrams and tables of the schema."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import UnionType
from typing import Any, Literal, NewType, Union, cast, get_args, get_origin

from annotated_types import MaxLen, MinLen
from bson import ObjectId
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from datalayer.documents import Document
from datalayer.engine.fields import Integer, Json, StorageId, Text, unwrap
from datalayer.engine.indexes import Index


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a collection.

    Attributes:
        name: The name in MongoDB; dotted for a field of an embedded object.
        kind: The type in a word: `string`, `integer`, `id`, `enum`, ...
        type: The type in full: which ids, which literals.
        limits: The other conditions of the validator.
        targets: The collections whose ids it holds.
        is_list: True if it holds several ids.
        unique: True if its value alone identifies the document.
    """

    name: str
    kind: str
    type: str
    limits: str
    optional: bool
    targets: tuple[str, ...] = ()
    is_list: bool = False
    unique: bool = False


@dataclass(frozen=True, slots=True)
class Entity:
    """A collection."""

    name: str
    title: str
    summary: str
    fields: tuple[Field, ...]
    inner: tuple[Field, ...]
    indexes: tuple[Index, ...]
    shard_key: tuple[str, ...]
    check: Mapping[str, object] | None


def entities(documents: Sequence[type[Document]]) -> list[Entity]:
    """Return the collections of the documents, in the same order."""
    tables = {document.__annotations__["id"]: document.Settings.name for document in documents}
    return [_entity(document, tables) for document in documents]


def _entity(document: type[Document], tables: dict[object, str]) -> Entity:
    settings = document.Settings
    unique = {index.fields[0] for index in settings.indexes if index.unique and len(index.fields) == 1}
    inner: list[Field] = []
    fields = [_field(info, tables, unique) for info in document.model_fields.values()]
    for info in document.model_fields.values():
        kind = unwrap(info.annotation)[0]
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            inner += [_field(child, tables, set(), f"{info.alias}.") for child in kind.model_fields.values()]
    return Entity(
        name=settings.name,
        title=document.__name__,
        summary=" ".join((document.__doc__ or "").split()),
        fields=tuple(fields),
        inner=tuple(inner),
        indexes=tuple(settings.indexes),
        shard_key=settings.shard_key or (),
        check=settings.check,
    )


def _field(info: FieldInfo, tables: dict[object, str], unique: set[str], prefix: str = "") -> Field:
    alias = info.alias or ""
    annotation, optional = unwrap(info.annotation)
    if alias == "_id":
        return Field(name="_id", kind="id", type="id", limits="", optional=False)
    is_list = get_origin(annotation) is list
    item = get_args(annotation)[0] if is_list else annotation
    targets = tuple(tables[arm] for arm in (_arms(item) or [item]) if arm in tables)
    kind, full = _names(item, targets)
    return Field(
        name=prefix + alias,
        kind=f"{kind}[]" if is_list else kind,
        type=f"list of {full}" if is_list else full,
        limits=", ".join(_limits(info.annotation, tuple(info.metadata))),
        optional=optional,
        targets=targets,
        is_list=is_list,
        unique=alias in unique,
    )


def _arms(annotation: object) -> list[object]:
    return list(get_args(annotation)) if get_origin(annotation) in (Union, UnionType) else []


def _names(annotation: Any, targets: tuple[str, ...]) -> tuple[str, str]:  # noqa: ANN401, PLR0911
    """Return the type in a word, and in full."""
    kind = unwrap(annotation)[0]
    if targets:
        return "id", "id of " + " or ".join(f"[{target}](#{target.lower()})" for target in targets)
    if get_origin(kind) is Literal:
        return "enum", ", ".join(f"`{literal}`" for literal in get_args(kind))
    if kind is Json:
        return "any", "any JSON"
    if kind is StorageId:
        return "file", "file"
    if isinstance(kind, NewType) and kind.__supertype__ is ObjectId:
        return "id", "id"
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return "object", "object"
    name = {str: "string", int: "integer", bool: "boolean", ObjectId: "id"}[cast("type", kind)]
    return name, name


def _limits(annotation: Any, limits: tuple[object, ...] = ()) -> Iterator[str]:  # noqa: ANN401
    """Describe the limits in words, the outer ones first."""
    if hasattr(annotation, "__metadata__"):
        # Inside a union, pydantic does not unpack `Field(max_length=...)`.
        parts = ([*part.metadata] if isinstance(part, FieldInfo) else [part] for part in annotation.__metadata__)
        yield from _limits(get_args(annotation)[0], (*limits, *itertools.chain.from_iterable(parts)))
        return
    arms = [arm for arm in _arms(annotation) if arm is not type(None)]
    if len(arms) == 1:
        yield from _limits(arms[0], limits)
        return
    counts = {type(limit): limit for limit in limits}
    shortest, longest = counts.get(MinLen), counts.get(MaxLen)
    if isinstance(longest, MaxLen):
        exact = isinstance(shortest, MinLen) and shortest.min_length == longest.max_length
        yield f"{'exactly' if exact else 'at most'} {longest.max_length:,}"
    if get_origin(annotation) is list:
        yield from (f"each {limit}" for limit in _limits(get_args(annotation)[0]))
    for limit in limits:
        if isinstance(limit, Text):
            yield f"{limit.shortest} to {limit.longest:,} characters"
        elif isinstance(limit, Integer):
            yield f"from {limit.minimum}"
