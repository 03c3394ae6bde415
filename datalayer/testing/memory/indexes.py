"""What indexes do besides being fast: an order, bounds, and one document for each key."""

from collections.abc import Mapping, Sequence
from typing import Any

from pymongo.errors import DuplicateKeyError

from datalayer.documents.base import Document
from datalayer.documents.indexes import Index
from datalayer.testing.memory.filters import equalities, predicate
from datalayer.testing.memory.values import Order, Wire, key_at, order_of, unsupported

Bound = Sequence[tuple[str, Any]]
"""A position in an index: its fields in their order, with values."""

_BY_ID = Index("_id_", "_id", unique=True)

_DUPLICATE_KEY = 11000


class TableIndexes:
    """The indexes of a collection."""

    def __init__(self, document: type[Document]) -> None:
        self._table = document.Settings.name
        self._by_name = {index.name: index for index in (_BY_ID, *document.Settings.indexes)}
        self._where = {name: predicate(index.where or {}) for name, index in self._by_name.items()}

    def named(self, name: str) -> Index:
        """The index that a hint names."""
        if name not in self._by_name:
            raise unsupported(f"the hint {name}: there is no such index")
        return self._by_name[name]

    def sorted(self, wires: list[Wire], index: Index, filter: Mapping[str, Any]) -> list[Wire]:
        """The documents in the order of the index, which has to hold all of them."""
        where = self._where[index.name]
        if index.where is not None and not all(where(wire) for wire in wires):
            raise unsupported(f"the hint {index.name} for documents that are not in that index")
        given = equalities(filter)
        # By the last field first: sorting leaves equals as they are.
        for name, direction in reversed(index.keys):
            if name not in given:
                wires = _sorted(wires, name, direction)
        return wires

    def unique_keys(self, wire: Wire) -> list[tuple[Index, Wire]]:
        """The keys of which there may be only one, with their indexes."""
        unique = (index for index in self._by_name.values() if index.unique and self._where[index.name](wire))
        return [(index, {name: key_at(wire, name) for name, _ in index.keys}) for index in unique]

    def duplicate(self, name: str, key: Wire) -> DuplicateKeyError:
        """The error of the server for a second document with the key in the index."""
        message = f"E11000 duplicate key error collection: {self._table} index: {name} dup key: {key}"
        pattern = dict(self._by_name[name].keys)
        details = {"code": _DUPLICATE_KEY, "errmsg": message, "keyPattern": pattern, "keyValue": key}
        return DuplicateKeyError(message, _DUPLICATE_KEY, details)


def sorted_by(wires: list[Wire], sort: Mapping[str, Any]) -> list[Wire]:
    """The documents in the order of a sort; equals stay as they are."""
    for name, direction in reversed([*sort.items()]):
        wires = _sorted(wires, name, direction)
    return wires


def within(
    wires: list[Wire], index: Index, low: Bound | None, high: Bound | None, filter: Mapping[str, Any]
) -> list[Wire]:
    """Those of the documents that lie between two positions in the index: `low` inclusive, `high` exclusive."""
    given = equalities(filter)
    for bound in (low, high):
        if bound is None:
            continue
        if [name for name, _ in bound] != [name for name, _ in index.keys]:
            raise unsupported("bounds of other fields than the index has")
        for name, value in bound:
            if name in given and order_of(given[name]) != order_of(value):
                raise unsupported("bounds that leave the values of the filter")
    names = [name for name, _ in index.keys if name not in given]
    if low is not None:
        wires = [wire for wire in wires if not _is_before(wire, low, index, names)]
    if high is not None:
        wires = [wire for wire in wires if _is_before(wire, high, index, names)]
    return wires


def _is_before(wire: Wire, bound: Bound, index: Index, names: Sequence[str]) -> bool:
    """Whether the document comes before the position."""
    values, directions = dict(bound), dict(index.keys)
    for name in names:
        here, there = order_of(key_at(wire, name)), order_of(values[name])
        if here != there:
            return (here < there) == (directions[name] > 0)
    return False


def _sorted(wires: list[Wire], name: str, direction: int) -> list[Wire]:
    def order(wire: Wire) -> Order:
        return order_of(key_at(wire, name))

    if direction not in (1, -1):
        raise unsupported(f"sorting by {direction}")
    # Reversed, since a descending order leaves equals as they are too.
    return sorted(wires, key=order, reverse=direction < 0)
