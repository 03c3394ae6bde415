"""Decides which differences between the declared and the live schema a release tolerates.

During a rollout, two releases share one database. `apply` gives it the schema of the new release, and a process of the
old release may restart at any time. The old release works as long as the database accepts every document that it
writes, and has the indexes that it relies on. Additional fields, literals and indexes and larger limits serve the new
release and do no harm.

All functions here are pure and conservative: whatever they do not understand counts as incompatible.
"""

from collections.abc import Mapping
from typing import Any, TypeAlias, cast

from datalayer.schema.tables import EVERYTHING, IndexShape, Table

Schema: TypeAlias = Mapping[str, Any]

_KEYWORD = "$jsonSchema"


def accepts(live: Schema, declared: Schema) -> bool:
    """Return whether the live validator accepts every document that the declared one accepts.

    A validator is a `$jsonSchema`, possibly with further conditions. The live one may have fewer conditions.
    """
    if live == declared:
        return True
    if _KEYWORD not in live or _KEYWORD not in declared:
        return False
    given = _conditions(declared)
    return all(condition in given for condition in _conditions(live)) and _accepts(live[_KEYWORD], declared[_KEYWORD])


def _conditions(validator: Schema) -> list[object]:
    others = [{name: value} for name, value in validator.items() if name not in (_KEYWORD, "$and")]
    return [*others, *validator.get("$and", ())]


def serves(live: IndexShape, declared: IndexShape) -> bool:
    """Return whether queries and rules that rely on the declared index can rely on the live one of the same name.

    Besides an equal index, that is only the same non-unique index without its filter: it holds the same keys in the
    same order, and more of them. A unique index without its filter would reject more than declared.
    """
    return live == declared or (not declared.unique and live == IndexShape(declared.keys))


def constrains(index: IndexShape, table: Table) -> bool:
    """Return whether an undeclared index could reject or remove a document that the collection allows.

    A non-unique index that only serves queries does neither. A unique index could, unless a declared index implies it,
    or it covers only documents with a field that the collection does not have.
    """
    plain = all(direction in (1, -1) for _, direction in index.keys)
    searches = all(direction in (1, -1, "text") for _, direction in index.keys)
    if not index.unique:
        return not (searches and index.options.keys() <= _FOR_QUERIES)
    if not plain or not index.options.keys() <= {"unique", "sparse", "hidden", "partialFilterExpression"}:
        return True
    return not (any(_implies(declared, index) for declared in table.indexes.values()) or _leaves_out(index, table))


_FOR_QUERIES = {
    *("partialFilterExpression", "sparse", "hidden", "collation", "wildcardProjection"),
    *("weights", "default_language", "language_override", "textIndexVersion"),
}


def _implies(declared: IndexShape, index: IndexShape) -> bool:
    """Return whether documents with different keys in the declared unique index also differ in the other index."""
    fields, others = ({name for name, _ in shape.keys} for shape in (declared, index))
    where, other = (_where(shape) for shape in (declared, index))
    return declared.unique and fields <= others and where in (None, other)


def _where(index: IndexShape) -> object:
    """Return the filter without the condition that a guard adds to it."""
    where = cast("Schema | None", index.options.get("partialFilterExpression"))
    while where and list(where) == ["$and"] and where["$and"][1:] == [EVERYTHING]:
        where = cast("Schema", where["$and"][0])
    return where


def _leaves_out(index: IndexShape, table: Table) -> bool:
    """Return whether the filter of the index requires a field that no document of the collection has."""
    schema = cast("Schema", (table.validator or {}).get(_KEYWORD, {}))
    where = cast("Schema", index.options.get("partialFilterExpression", {}))
    unknown = {name: value for name, value in where.items() if name.split(".")[0] not in schema.get("properties", {})}
    return any(value == {"$exists": True} or isinstance(value, str | bool) for value in unknown.values())


def _accepts(live: object, declared: object) -> bool:
    """Like `accepts`, for two schemas or two parts of them."""
    if live == declared:
        return True
    if not isinstance(live, Mapping) or not isinstance(declared, Mapping):
        return False
    asked, given = cast("Schema", live), cast("Schema", declared)
    known = (asked.keys() | given.keys()) <= _KEYWORDS
    return known and all(_implied(keyword, asked, given) for keyword in asked)


_KEYWORDS = {
    *("bsonType", "enum", "multipleOf", "required", "properties", "additionalProperties", "items"),
    *("minimum", "minLength", "minItems", "maximum", "maxLength", "maxItems"),
}
"""The keywords that the validators of this library use."""


def _implied(keyword: str, asked: Schema, given: Schema) -> bool:  # noqa: PLR0911 - one for each kind of keyword
    """Return whether every value that the schema `given` allows satisfies a keyword of the schema `asked`."""
    value = asked[keyword]
    match keyword:
        case "bsonType":
            return keyword in given and _types(given[keyword]) <= _types(value)
        case "enum":
            return keyword in given and all(literal in value for literal in given[keyword])
        case "multipleOf":
            return given.get(keyword) == value
        case "required":
            return set(value) <= set(given.get(keyword, ()))
        case "minimum" | "minLength" | "minItems":
            return keyword in given and given[keyword] >= value
        case "maximum" | "maxLength" | "maxItems":
            return keyword in given and given[keyword] <= value
        case "items":
            return _accepts(value, given.get(keyword, {}))
        case "properties":
            properties, closed = given.get(keyword, {}), given.get("additionalProperties") is False
            # In an object without additional properties, properties that `given` does not list never occur.
            return all(
                _accepts(value[name], properties.get(name, {})) for name in value if name in properties or not closed
            )
        case _:  # additionalProperties
            same = (
                given.get(keyword) is False and given.get("properties", {}).keys() <= asked.get("properties", {}).keys()
            )
            return value is True or (value is False and same)


def _types(names: Any) -> set[str]:  # noqa: ANN401 - one name, or a list of them
    return {names} if isinstance(names, str) else set(names)
