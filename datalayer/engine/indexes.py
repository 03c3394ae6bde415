"""Declarations of indexes and of collection settings."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from pymongo import IndexModel

ORIGINAL = "original schema"


class Index(IndexModel):
    """An index of a collection, named by the convention of the original schema: `by_field1_and_field2`.

    Args:
        name: The name of the index, used in error messages and drift reports.
        *fields: The fields in order, by their names in MongoDB. A leading `-` makes a field descending.
        unique: Allow at most one document per key. Non-unique indexes get `_id` as an additional last field, in the
            direction of the field before it: equal keys then have an order, so pages are stable. The indexes of the
            original schema end in the creation time.
        where: The filter of a partial index.
        why: What needs the index, if the original schema does not have it.
        staged: Built by `datalayer schema apply`, but nothing relies on it yet: start-up neither creates nor requires
            it.
    """

    def __init__(
        self,
        name: str,
        *fields: str,
        unique: bool = False,
        where: Mapping[str, object] | None = None,
        why: str = ORIGINAL,
        staged: bool = False,
    ) -> None:
        keys = [(field.removeprefix("-"), -1 if field.startswith("-") else 1) for field in fields]
        if not unique and keys[-1][0] != "_id":
            keys.append(("_id", keys[-1][1]))
        options: dict[str, object] = {}
        if unique:
            options["unique"] = True
        if where is not None:
            options["partialFilterExpression"] = dict(where)
        super().__init__(keys, name=name, **options)
        self.name = name
        self.fields: tuple[str, ...] = tuple(field.removeprefix("-") for field in fields)
        self.keys: tuple[tuple[str, int], ...] = tuple(keys)
        self.unique = unique
        self.where = where
        self.why = why
        self.staged = staged


class TableSettings:
    """The base class of a document's `Settings`, which describe its collection. Beanie reads them too."""

    name: ClassVar[str]
    """The name of the collection, as in the original schema."""

    indexes: ClassVar[Sequence[Index]] = ()

    shard_key: ClassVar[tuple[str, ...] | None] = None
    """The shard key of the collection on a sharded cluster; every unique index begins with it."""

    written_by: ClassVar[str] = "its repository"
    """What to use instead of Beanie's own writes, which are rejected: `community.posts: create, edit, delete`."""

    check: ClassVar[Mapping[str, object] | None] = None
    """A filter that every document must match, in addition to the types of its fields; like `CHECK` in SQL. The
    database rejects other documents. The filter must not raise errors, whatever the document contains."""

    keep_nulls: ClassVar[bool] = False
    """A setting of Beanie: an optional field without a value is absent, never null."""
