"""What a collection looks like, whether declared by a document or found in a database."""

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
    """An index: its keys in order with their directions, and the options that are not at their default."""

    keys: Keys
    options: Mapping[str, object] = field(default_factory=dict[str, object])

    @classmethod
    def declared(cls, index: Index) -> "IndexShape":
        """The shape of an index that a document declares."""
        options = {name: value for name, value in index.document.items() if name not in ("key", "name")}
        return cls(keys=index.keys, options=options)

    @property
    def unique(self) -> bool:
        """Whether there is one document for each key."""
        return bool(self.options.get("unique"))

    @property
    def hidden(self) -> bool:
        """Whether the planner leaves it out of account; it is kept up to date, and unique, all the same."""
        return bool(self.options.get("hidden"))

    @property
    def signature(self) -> tuple[Keys, Mapping[str, object]]:
        """What the server tells indexes apart by: of two with one signature, it refuses the second."""
        return self.keys, {name: value for name, value in self.options.items() if name in _SIGNATURE}

    def visible(self) -> "IndexShape":
        """The same, not hidden."""
        return IndexShape(self.keys, {name: value for name, value in self.options.items() if name != "hidden"})

    def guard(self) -> "IndexShape":
        """An index that the server takes for another one, with the same constraint."""
        where = self.options.get("partialFilterExpression")
        both = EVERYTHING if where is None else {"$and": [where, EVERYTHING]}
        return IndexShape(self.keys, {**self.options, "partialFilterExpression": both})

    def specification(self, name: str) -> dict[str, object]:
        """What `createIndexes` takes."""
        # Not the collection's own collation, which somebody may have given it: strings are compared as they are.
        return {"name": name, "key": dict(self.keys), "collation": {"locale": "simple"}, **self.options}

    def __str__(self) -> str:
        keys = ", ".join(f"{name}: {direction}" for name, direction in self.keys)
        options = "".join(f", {name}={value}" for name, value in self.options.items())
        return f"{{{keys}}}{options}"


_SIGNATURE = {"unique", "sparse", "partialFilterExpression", "collation", "wildcardProjection"}


@dataclass(frozen=True, slots=True)
class Table:
    """A collection: its validator and its indexes by name, but for the one on `_id`.

    Attributes:
        staged: The names of the declared indexes that nothing relies on yet.
        enforced: Whether what the validator refuses is an error, of every write.
        building: The names of the live indexes that are still being built: until then, they find and refuse nothing.
        oddity: What makes it another kind of collection than the declared ones, where something does.
    """

    name: str
    validator: Mapping[str, object] | None
    indexes: Mapping[str, IndexShape]
    staged: frozenset[str] = frozenset()
    enforced: bool = True
    building: frozenset[str] = frozenset()
    oddity: str | None = None


def declared_table(document: type[Document]) -> Table:
    """The collection that the document declares."""
    settings = document.Settings
    return Table(
        name=settings.name,
        validator=validator(document),
        indexes={index.name: IndexShape.declared(index) for index in settings.indexes},
        staged=frozenset(index.name for index in settings.indexes if index.staged),
    )


def declared_tables(documents: Sequence[type[Document]]) -> tuple[Table, ...]:
    """The collections that the documents declare."""
    return tuple(declared_table(document) for document in documents)
