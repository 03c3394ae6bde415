"""What the class of a document may declare; checked when the class is defined.

A class whose base has the same collection extends that class: `class Member(User)`. It adds optional fields and
indexes. What the base declares stays as it is, because the repositories rely on it.
"""

import inspect
from collections.abc import Collection, Iterator, Sequence
from functools import cache
from typing import Any, NoReturn

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from datalayer.engine.errors import InvalidDefinitionError
from datalayer.engine.fields import unwrap
from datalayer.engine.indexes import Index, TableSettings
from datalayer.engine.json_schema import object_schema

_MEANINGFUL = {"deleted_at", "revision", "updated_at"}
"""Fields that mean something to the engine wherever a document has them."""

FREE_NAMES = "Names that begin with `x_` never clash with the library's."
"""No document, field or index of the library begins like that; on the wire a field `x_name` is `xName`."""


@cache
def extended_class(document: type[BaseModel]) -> type[BaseModel] | None:
    """Return the class that this one extends: its nearest base that has the same collection."""
    return next((base for base in document.__mro__[1:] if _is_of(base, _collection(document))), None)


def own_fields(document: type[BaseModel]) -> dict[str, FieldInfo]:
    """Return the fields that a class adds to the one that it extends; all fields where it extends none."""
    base = extended_class(document)
    ours = {} if base is None else base.model_fields
    return {name: field for name, field in document.model_fields.items() if name not in ours}


def check_definition(document: type[BaseModel], taken: Collection[str]) -> None:
    """Check the fields and the indexes of a class.

    Args:
        document: The class.
        taken: The names of the attributes that every document has.

    Raises:
        InvalidDefinitionError: What is declared cannot work; the message names the class, and the field or index.
    """
    base = extended_class(document)
    named = next((other for other in document.__mro__[1:] if _collection(other) is not None), None)
    if named is not None and _collection(document) is None:
        _refuse(document, f"its Settings must inherit: `class Settings({named.__name__}.Settings)`.")
    if base is not None:
        _check_untouched(document, base)
    _check_names(document, base, taken)
    object_schema(document)
    if base is not None:
        _check_optional(document)
    if _collection(document) is not None:
        _check_indexes(document, base)


def _collection(document: type) -> str | None:
    return getattr(getattr(document, "Settings", None), "name", None)


def _is_of(document: type, collection: str | None) -> bool:
    return collection is not None and issubclass(document, BaseModel) and _collection(document) == collection


def _settings(document: type[BaseModel]) -> type[TableSettings]:
    return getattr(document, "Settings")  # noqa: B009 - only classes of documents have it


def _refuse(document: type[BaseModel], message: str, hint: str | None = None) -> NoReturn:
    raise InvalidDefinitionError(f"{document.__name__}: {message}", hint=hint)


def _check_untouched(document: type[BaseModel], base: type[BaseModel]) -> None:
    """Refuse another type for a field of the base, and another collection."""
    for added in document.__mro__:
        if issubclass(base, added):
            continue
        for name in inspect.get_annotations(added):
            if name in base.model_fields:
                _refuse(
                    document, f"the field `{name}` is one of {base.__name__}.", f"Choose another name. {FREE_NAMES}"
                )
    settings, ours = _settings(document), _settings(base)
    if not issubclass(settings, ours):
        _refuse(document, f"its Settings must inherit: `class Settings({base.__name__}.Settings)`.")
    for name in ("shard_key", "check"):
        if getattr(settings, name) != getattr(ours, name):
            _refuse(document, f"its Settings cannot change `{name}` of {base.__name__}.")


def _check_names(document: type[BaseModel], base: type[BaseModel] | None, taken: Collection[str]) -> None:
    for name in document.__private_attributes__:
        _refuse(document, f"the field `{name}` is private: names that begin with an underscore are not stored.")
    used = dict(_names_of({} if base is None else base.model_fields))
    for name, field in own_fields(document).items():
        wire = field.alias or name
        if name in taken and name != "id":
            _refuse(document, f"the field `{name}` has the name of an attribute of every document.", FREE_NAMES)
        if base is not None and name in _MEANINGFUL:
            _refuse(document, f"the field `{name}` would change what the repositories do.", FREE_NAMES)
        if not wire.isidentifier() or (wire.startswith("_") and name != "id"):
            _refuse(document, f"the field `{name}` is stored as {wire!r}, which is not a plain name.")
        for each in dict.fromkeys((name, wire)):
            if each in used:
                _refuse(
                    document, f"the field `{name}` clashes with `{used[each]}`: both are called {each}.", FREE_NAMES
                )
        used |= {name: name, wire: name}


def _names_of(fields: dict[str, FieldInfo]) -> Iterator[tuple[str, str]]:
    """Each name of a field, in Python and in MongoDB, with the one in Python."""
    for name, field in fields.items():
        yield name, name
        yield field.alias or name, name


def _check_optional(document: type[BaseModel]) -> None:
    """The documents that are there have no such field, and the repositories do not write it."""
    for name, field in own_fields(document).items():
        if not unwrap(field.annotation)[1] or field.is_required() or field.get_default() is not None:
            _refuse(document, f"the field `{name}` must be optional, with `None` as its default: `... | None = None`.")


def _check_indexes(document: type[BaseModel], base: type[BaseModel] | None) -> None:
    indexes: Sequence[Any] = _settings(document).indexes
    ours = () if base is None else tuple(_settings(base).indexes)
    fields = {field.alias or name for name, field in document.model_fields.items()}
    if tuple(indexes[: len(ours)]) != ours and base is not None:
        _refuse(document, f"its indexes must begin with those of the base: `*{base.__name__}.Settings.indexes`.")
    seen: dict[str, Index] = {}
    for index in indexes:
        if not isinstance(index, Index):
            _refuse(document, f"the index {index!r} must be an `Index(name, *fields)`.")
        if index.name in seen or index.name == "_id_":
            _refuse(
                document, f"there is another index with the name `{index.name}`.", f"Choose another name. {FREE_NAMES}"
            )
        for other in seen.values():
            if _form(other) == _form(index):
                _refuse(document, f"the index `{index.name}` is the same as `{other.name}`.", "Leave it out.")
        for path, _ in index.keys:
            if path.split(".")[0] not in fields:
                _refuse(document, f"the index `{index.name}` has a field that the document lacks: {path}.")
        seen[index.name] = index
    if base is not None:
        _check_unique(document, indexes[len(ours) :])


def _form(index: Index) -> dict[str, object]:
    return {
        name: list(value.items()) if name == "key" else value
        for name, value in index.document.items()
        if name != "name"
    }


def _check_unique(document: type[BaseModel], indexes: Sequence[Index]) -> None:
    """The repositories write documents without the own fields: those must not exclude each other."""
    own = {field.alias or name for name, field in own_fields(document).items()}
    for index in indexes:
        where = index.where or {}
        if index.unique and not any(where.get(name) == {"$exists": True} for name in own):
            _refuse(
                document,
                f"the unique index `{index.name}` must leave out documents without an own field of it.",
                'Say so: `where={"xHandle": {"$exists": True}}`.',
            )
