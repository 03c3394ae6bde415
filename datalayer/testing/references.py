"""The arguments of factories: documents, ids, or nothing."""

import itertools
from collections import defaultdict
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeVar

from bson import ObjectId

from datalayer.database import Database
from datalayer.documents import Document
from datalayer.engine.repository import Repository, not_found

D = TypeVar("D", bound=Document)
I = TypeVar("I", bound=ObjectId)  # noqa: E741
I_co = TypeVar("I_co", bound=ObjectId, covariant=True)


class HasId(Protocol[I_co]):
    """A document."""

    @property
    def id(self) -> I_co:
        """Its id."""
        ...


async def id_of(reference: HasId[I] | I | None, make: Callable[[], Awaitable[HasId[I]]]) -> I:
    """Return the id of a document, or the id itself. Creates a document if neither is given."""
    if reference is None:
        reference = await make()
    return reference if isinstance(reference, ObjectId) else reference.id


async def document_of(reference: D | I, repository: Repository[D, I]) -> D:
    """Return the document. Reads it if only its id is given."""
    return await repository.get(reference) if isinstance(reference, ObjectId) else reference


async def stored(database: Database, document: type[D], **filter: Any) -> D:  # noqa: ANN401
    """Return the stored document with these fields (by their names in MongoDB), for methods that do not return it."""
    wire = await database.database[document.Settings.name].find_one(filter)
    if wire is None:
        raise not_found(document, filter)
    return document.from_wire(wire)


class Numbers:
    """Numbers the names of created documents, by kind."""

    def __init__(self) -> None:
        self._counts: defaultdict[str, itertools.count[int]] = defaultdict(lambda: itertools.count(1))

    def name(self, kind: str, given: str | None = None) -> str:
        """Return the given name, or a new one for the kind: `Post 1`, `Post 2`, ..."""
        return f"{kind} {next(self._counts[kind])}" if given is None else given
