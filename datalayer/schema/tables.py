"""The schema of a collection, either declared by a document class or read from a database."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from datalayer.engine.document import Document
from datalayer.engine.indexes import Index
from datalayer.schema.validators import validator

Keys: TypeAlias = tuple[tuple[str, object], ...]

EVERYTHING: Mapping[str, object] = {"_id": {"$exists": True}}
"""A filter that is always true."""


@dataclass(frozen=True, slots=True)
class IndexShape:
    """An index: its keys in order, with their directions, and its non-default options."""

    keys: Keys
    options: Mapping[str, object] = field(default_factory=dict[str, object])

    @classmethod
    def declared(cls, index: Index) -> "IndexShape":
        """Return the shape of an index that a document declares."""
        options = {name: value for name, value in index.document.items() if name not in ("key", "name")}
        return cls(keys=index.keys, options=options)

    @property
    def unique(self) -> bool:
        """True if the index allows at most one document per key."""
        return bool(self.options.get("unique"))

    @property
    def hidden(self) -> bool:
        """True if the query planner ignores the index. It is still kept up to date, and still enforces uniqueness."""
        return bool(self.options.get("hidden"))

    @property
    def signature(self) -> tuple[Keys, Mapping[str, object]]:
        """What identifies an index for the server: it rejects a second index with the same signature."""
        return self.keys, {name: value for name, value in self.options.items() if name in _SIGNATURE}

    def visible(self) -> "IndexShape":
        """Return the same index, not hidden."""
        return IndexShape(self.keys, {name: value for name, value in self.options.items() if name != "hidden"})

    def guard(self) -> "IndexShape":
        """Return an index with the same constraint that the server considers a different one."""
        where = self.options.get("partialFilterExpression")
        both = EVERYTHING if where is None else {"$and": [where, EVERYTHING]}
        return IndexShape(self.keys, {**self.options, "partialFilterExpression": both})

    def specification(self, name: str) -> dict[str, object]:
        """Return the specification for `createIndexes`."""
        # Override a collation that the collection may have: strings are compared byte by byte.
        return {"name": name, "key": dict(self.keys), "collation": {"locale": "simple"}, **self.options}

    def __str__(self) -> str:
        keys = ", ".join(f"{name}: {direction}" for name, direction in self.keys)
        options = "".join(f", {name}={value}" for name, value in self.options.items())
        return f"{{{keys}}}{options}"


_SIGNATURE = {"unique", "sparse", "partialFilterExpression", "collation", "wildcardProjection"}


@dataclass(frozen=True, slots=True)
class Table:
    """A collection: its validator and its indexes by name, without the index on `_id`.

    Attributes:
        staged: The names of the declared indexes that nothing relies on yet.
        enforced: True if every write that the validator rejects is an error.
        building: The names of live indexes that are still being built: until then they neither serve queries nor
            enforce constraints.
        oddity: What makes the collection different in type from the declared ones, if anything.
    """

    name: str
    validator: Mapping[str, object] | None
    indexes: Mapping[str, IndexShape]
    staged: frozenset[str] = frozenset()
    enforced: bool = True
    building: frozenset[str] = frozenset()
    oddity: str | None = None


def declared_table(document: type[Document]) -> Table:
    """Return the collection that the document declares."""
    settings = document.Settings
    return Table(
        name=settings.name,
        validator=validator(document),
        indexes={index.name: IndexShape.declared(index) for index in settings.indexes},
        staged=frozenset(index.name for index in settings.indexes if index.staged),
    )


def declared_tables(documents: Sequence[type[Document]]) -> tuple[Table, ...]:
    """Return the collections that the documents declare."""
    return tuple(declared_table(document) for document in documents)
