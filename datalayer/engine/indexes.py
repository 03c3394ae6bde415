"""How a document declares an index."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from pymongo import IndexModel

ORIGINAL = "original schema"


class Index(IndexModel):
    """An index of a collection, under the name that the original schema's rule gives it: `by_field1_and_field2`.

    Args:
        name: The index's name; errors and drift are reported by it.
        *fields: The fields as MongoDB names them, in order; a `-` in front makes one descending.
        unique: At most one document for each key. A non-unique index ends in `_id`, in the direction of the last
            field, as the original's indexes end in the time of creation: equal keys have an order, so pages are stable.
        where: The filter of a partial index.
        why: What needs it, where the original schema does not have it.
        staged: Built by `datalayer schema apply`, but not relied on yet: start-up neither makes nor misses it.
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
    """What a document's `Settings` say of its collection; Beanie reads them too."""

    name: ClassVar[str]
    """The collection, named as the original's table."""

    indexes: ClassVar[Sequence[Index]] = ()

    shard_key: ClassVar[tuple[str, ...] | None] = None
    """By which fields the collection is spread over a sharded cluster; every unique index begins with them."""

    written_by: ClassVar[str] = "its repository"
    """What to use instead of Beanie's own writes, which are refused: `community.posts: create, edit, delete`."""

    check: ClassVar[Mapping[str, object] | None] = None
    """A condition that every document meets besides the types of its fields, as a filter: SQL's `CHECK`. The database
    refuses what does not meet it; it must not fail on a document of any other form."""

    keep_nulls: ClassVar[bool] = False
    """For Beanie's own writes: an optional field without a value is absent, never null."""
