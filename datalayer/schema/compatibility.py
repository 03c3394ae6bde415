"""Which differences between the declared and the live schema do not stop a running release.

While a new release is rolled out, two releases share one database. `apply` gives it the schema of the new one, and a
process of the old one may restart at any time. It can work as long as the database accepts every document that it
writes, and has the indexes that it relies on. What goes beyond that (more fields, more literals, larger limits, more
indexes) is for the new release.

Everything here is pure, and errs on one side: what it does not understand, it calls incompatible.
"""

from collections.abc import Mapping
from typing import Any, TypeAlias, cast

from datalayer.schema.tables import EVERYTHING, IndexShape, Table

Schema: TypeAlias = Mapping[str, Any]

_KEYWORD = "$jsonSchema"


def accepts(live: Schema, declared: Schema) -> bool:
    """Returns whether the live validator accepts every document that the declared one accepts.

    A validator is a `$jsonSchema`, and conditions beside it. The live one may ask for fewer conditions.
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
    """Returns whether queries and rules that rely on the declared index can rely on the live one of the same name.

    Only the same index without its filter can: it holds the same keys in the same order, and more of them. A unique
    index without its filter refuses more than declared.
    """
    return live == declared or (not declared.unique and live == IndexShape(declared.keys))


def constrains(index: IndexShape, table: Table) -> bool:
    """Returns whether an index that is not declared could refuse or remove a document that the table allows.

    An index for queries does neither. A unique one does, unless a declared one implies it, or it holds only documents
    with a field that the table does not have.
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
    """Returns whether documents that differ by the declared unique index also differ by the other one."""
    fields, others = ({name for name, _ in shape.keys} for shape in (declared, index))
    where, other = (_where(shape) for shape in (declared, index))
    return declared.unique and fields <= others and where in (None, other)


def _where(index: IndexShape) -> object:
    """The filter, without what a guard adds to it."""
    where = cast("Schema | None", index.options.get("partialFilterExpression"))
    while where and list(where) == ["$and"] and where["$and"][1:] == [EVERYTHING]:
        where = cast("Schema", where["$and"][0])
    return where


def _leaves_out(index: IndexShape, table: Table) -> bool:
    """Returns whether the index's filter asks for a field that no document of the table has."""
    schema = cast("Schema", (table.validator or {}).get(_KEYWORD, {}))
    where = cast("Schema", index.options.get("partialFilterExpression", {}))
    unknown = {name: value for name, value in where.items() if name.split(".")[0] not in schema.get("properties", {})}
    return any(value == {"$exists": True} or isinstance(value, str | bool) for value in unknown.values())


def _accepts(live: object, declared: object) -> bool:
    """The same as `accepts`, for two schemas or for two parts of them."""
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
"""Those of our own validators."""


def _implied(keyword: str, asked: Schema, given: Schema) -> bool:  # noqa: PLR0911 - one for each kind of keyword
    """Returns whether whatever is given as the one schema says meets a keyword of the other one."""
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
            # Of a closed object, those that are not given are never there.
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
