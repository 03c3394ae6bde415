"""The documents of one collection, and the rules that its schema has."""

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any, TypeAlias, cast

from bson import ObjectId
from pydantic import ValidationError
from pymongo.errors import WriteError

from datalayer.documents.base import Document
from datalayer.testing.memory.filters import predicate
from datalayer.testing.memory.indexes import TableIndexes
from datalayer.testing.memory.transactions import Client
from datalayer.testing.memory.values import Order, Wire, copied, order_of, sent

_VALIDATION_FAILURE = 121
_IMMUTABLE_FIELD = 66


_Place: TypeAlias = tuple[str, Order]
"""A key in a unique index: the index's name, and the key's values."""


class Table:
    """A collection of the mock's, and what is checked before it is written to.

    Args:
        document: The class of its documents.
        engine: The mock's collection.
        client: Who reads and writes it.
    """

    def __init__(self, document: type[Document], engine: Any, client: Client) -> None:  # noqa: ANN401
        self.name = document.Settings.name
        self.indexes = TableIndexes(document)
        self.client = client
        self._document = document
        # By its methods, each operation by id would look at every document.
        self._rows: Any = engine._store  # noqa: SLF001
        self._owners: dict[_Place, ObjectId] = {}

    def find(self, filter: Mapping[str, Any], hint: str | None = None) -> list[Wire]:
        """Copies of the documents that the filter finds, in the order of the hinted index."""
        applies = predicate(filter)
        wires = [copied(wire) for wire in self._candidates(filter.get("_id")) if applies(wire)]
        if hint is None and "_id" not in filter:
            return wires
        return self.indexes.sorted(wires, self.indexes.named(hint or "_id_"), filter)

    def write(self, before: Wire | None, after: Wire | None) -> None:
        """Insert, replace or delete a document.

        Raises:
            WriteError: It is not what its class says.
            DuplicateKeyError: There is one already with a key that is unique.
        """
        wire = None if after is None else self._checked(before, sent(after))
        self._put(before, wire)
        if self.client.journal is not None:
            self.client.journal.append(partial(self._put, wire, before))

    def _candidates(self, ids: object) -> Iterable[Wire]:
        """The documents among which a filter finds what it asks of the `_id`."""
        if isinstance(ids, ObjectId):
            ids = {"$in": [ids]}
        if isinstance(ids, dict) and "$in" in ids:
            among = cast("list[ObjectId]", ids["$in"])
            return [self._rows[id] for id in dict.fromkeys(among) if id in self._rows]
        return list(self._rows.documents)

    def _put(self, before: Wire | None, after: Wire | None) -> None:
        if before is not None:
            for place, _ in self._unique_keys(before):
                del self._owners[place]
        if after is not None:
            self._rows[after["_id"]] = after
            for place, _ in self._unique_keys(after):
                self._owners[place] = after["_id"]
        elif before is not None:
            del self._rows[before["_id"]]

    def _checked(self, before: Wire | None, after: Wire) -> Wire:
        if before is not None and after["_id"] != before["_id"]:
            raise WriteError("the (immutable) field '_id' was found to have been altered", _IMMUTABLE_FIELD)
        self._validate(after)
        for place, key in self._unique_keys(after):
            if place in self._owners and (before is None or self._owners[place] != before["_id"]):
                raise self.indexes.duplicate(place[0], key)
        return after

    def _unique_keys(self, wire: Wire) -> list[tuple[_Place, Wire]]:
        keys = self.indexes.unique_keys(wire)
        return [((index.name, order_of(list(key.values()))), key) for index, key in keys]

    def _validate(self, wire: Wire) -> None:
        """Let the class decide, and not let it take a null for what is missing."""
        field: object = ""
        try:
            if self._document.model_validate(wire).to_wire() == wire:
                return
        except ValidationError as error:
            field = error.errors()[0]["loc"][0]
        rule = {"operatorName": "properties", "propertiesNotSatisfied": [{"propertyName": field}]}
        details = {"code": _VALIDATION_FAILURE, "errInfo": {"details": {"schemaRulesNotSatisfied": [rule]}}}
        raise WriteError("Document failed validation", _VALIDATION_FAILURE, details)
