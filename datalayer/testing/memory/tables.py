"""The documents of one collection, and the rules that its schema has."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from pydantic import ValidationError
from pymongo.errors import WriteError

from datalayer.documents.base import Document
from datalayer.testing.memory.filters import Filter
from datalayer.testing.memory.indexes import TableIndexes
from datalayer.testing.memory.transactions import Client
from datalayer.testing.memory.values import Wire, sent

_VALIDATION_FAILURE = 121
_IMMUTABLE_FIELD = 66


class Table:
    """A collection of mongomock-motor, and what is checked before it is written to."""

    def __init__(self, document: type[Document], engine: Any, client: Client) -> None:  # noqa: ANN401
        self.name = document.Settings.name
        self.indexes = TableIndexes(document)
        self.client = client
        self._document = document
        self._engine = engine

    async def find(self, filter: Mapping[str, Any], hint: str | None = None) -> list[Wire]:
        """Copies of the documents that the filter finds, in the order of the hinted index."""
        wires: list[Wire] = await self._engine.find(Filter(filter).engine).to_list()
        if hint is None and "_id" not in filter:
            return wires
        return self.indexes.sorted(wires, self.indexes.named(hint or "_id_"), filter)

    async def write(self, before: Wire | None, after: Wire | None) -> None:
        """Insert, replace or delete a document.

        Raises:
            WriteError: It is not what its class says.
            DuplicateKeyError: There is one already with a key that is unique.
        """
        if after is not None:
            after = sent(after)
            if before is not None and after["_id"] != before["_id"]:
                raise WriteError("the (immutable) field '_id' was found to have been altered", _IMMUTABLE_FIELD)
            self._validate(after)
            await self._refuse_duplicates(before, after)
        await self._put(before, after)
        if self.client.journal is not None:
            self.client.journal.append(partial(self._put, after, before))

    async def _put(self, before: Wire | None, after: Wire | None) -> None:
        if before is None and after is not None:
            await self._engine.insert_one(after)
        elif after is not None:
            await self._engine.replace_one({"_id": after["_id"]}, after)
        elif before is not None:
            await self._engine.delete_one({"_id": before["_id"]})

    async def _refuse_duplicates(self, before: Wire | None, after: Wire) -> None:
        others: Wire = {} if before is None else {"_id": {"$ne": after["_id"]}}
        for index, key in self.indexes.unique_keys(after):
            if await self.find({"$and": [key, index.where or {}, others]}):
                raise self.indexes.duplicate(index, key)

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
