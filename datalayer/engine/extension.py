"""Your own queries and setters on a collection that already has a repository."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

from bson import ObjectId
from pydantic import create_model

from datalayer.engine.boundary import UNSET
from datalayer.engine.codec import Codec
from datalayer.engine.connection import Connection
from datalayer.engine.document import Document, Record, collection_classes
from datalayer.engine.errors import InvalidInputError
from datalayer.engine.pages import Page
from datalayer.engine.repository import Queries, alive

D = TypeVar("D", bound=Document)
I = TypeVar("I", bound=ObjectId)  # noqa: E741


class Extension(Queries[D, I]):
    """Your own queries on a collection of the library, and setters of your own fields.

    ```python
    class Members(Extension[Member, UserId]):
        document = Member

        async def set_timezone(self, id: UserId, timezone: Timezone | None) -> Member:
            return await self._set(id, x_timezone=timezone)
    ```

    It has `get`, `find` and `get_many`, and changes only your own fields. Make other changes through the collection's
    repository, which maintains the rules. Deleted documents are left out unless a filter names `deletedAt`.
    """

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self.belongs_to = connection.owner_of(self.document)
        self._base = collection_classes(self.document)[-1]
        own: dict[str, Any] = {
            name: (field.annotation, field)
            for name, field in self.document.model_fields.items()
            if name not in self._base.model_fields
        }
        self._own = create_model(f"{self.document.__name__}Fields", __base__=Record, **own)
        self._dump = Codec(self._own).dump

    async def _set(self, id: I, **fields: object) -> D:
        """Set your own fields of a document, by their Python names, and return the document.

        `None` removes a field, and `UNSET` leaves it unchanged. `updatedAt` is set if the collection has it.

        Raises:
            InvalidInputError: A field is not one of your own, or a value has the wrong type.
            NotFoundError: The document does not exist, or is deleted.

        Cost: 1 round trip; index `_id`.
        """
        changed = {name: value for name, value in fields.items() if value is not UNSET}
        for name in fields:
            if name not in self._own.model_fields:
                raise InvalidInputError(name, self._why_not(name))
        wire = self._dump(self._own.model_validate(changed))
        names = {name: self._own.model_fields[name].alias or name for name in changed}
        update: dict[str, dict[str, object]] = {}
        for name in names.values():
            operator, value = ("$set", wire[name]) if name in wire else ("$unset", "")
            update.setdefault(operator, {})[name] = value
        if changed and "updated_at" in self.document.model_fields:
            update.setdefault("$set", {})["updatedAt"] = self._now()
        return await self._update({"_id": id}, update)

    def _why_not(self, name: str) -> str:
        if name in self._base.model_fields:
            return f"is a field of {self._base.__name__}: use a method of its repository"
        return f"is not a field of {self.document.__name__}"

    def _undeleted(self, filter: Mapping[str, Any]) -> Mapping[str, Any]:
        return filter if "deletedAt" in filter else {**filter, **alive(self.document)}

    async def _one(self, filter: Mapping[str, Any], *, hint: str | None = None, durable: bool = False) -> D | None:
        return await super()._one(self._undeleted(filter), hint=hint, durable=durable)

    async def _all(
        self, filter: Mapping[str, Any], *, sort: Mapping[str, int] | None = None, hint: str | None = None
    ) -> list[D]:
        return await super()._all(self._undeleted(filter), sort=sort, hint=hint)

    async def _visible(
        self, filter: Mapping[str, Any], *, sort: Mapping[str, int] | None = None, hint: str | None = None
    ) -> list[D]:
        return await super()._visible(self._undeleted(filter), sort=sort, hint=hint)

    async def _update(self, filter: Mapping[str, Any], update: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> D:
        return await super()._update(self._undeleted(filter), update)

    async def _page(
        self,
        filter: Mapping[str, Any],
        index: str,
        limit: int,
        after: str | None,
        *,
        newest_first: bool = True,
        only_if: Callable[[], Awaitable[object]] | None = None,
    ) -> Page[D]:
        filter = self._undeleted(filter)
        return await super()._page(filter, index, limit, after, newest_first=newest_first, only_if=only_if)
