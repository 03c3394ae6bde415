"""Binds document classes to the database that Beanie's queries use.

Beanie binds a document class to a single database, but several databases can be open. A class is bound to the most
recently opened database that is still open.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from pymongo.asynchronous.database import AsyncDatabase

from datalayer.engine.document import Document, collection_classes

_open: defaultdict[type[Document], list[AsyncDatabase[dict[str, Any]]]] = defaultdict(list)


def bind(database: AsyncDatabase[dict[str, Any]], documents: Sequence[type[Document]]) -> None:
    """Bind the document classes, which Beanie has initialized, to a newly opened database."""
    for document in _with_bases(documents):
        _open[document].append(database)
        _use(document, database)


def unbind(database: AsyncDatabase[dict[str, Any]], documents: Sequence[type[Document]]) -> None:
    """Bind the document classes of a closed database to the most recently opened of the remaining ones.

    If there is no other database, they stay bound to this one.
    """
    for document in _with_bases(documents):
        databases = _open[document]
        # Compare by identity: the handles of two clients may be equal.
        del databases[max(at for at, other in enumerate(databases) if other is database)]
        if databases:
            _use(document, databases[-1])


def _with_bases(documents: Sequence[type[Document]]) -> list[type[Document]]:
    """The documents, and those that they extend: Beanie initializes these, too."""
    return [*dict.fromkeys(each for document in documents for each in collection_classes(document))]


def _use(document: type[Document], database: AsyncDatabase[dict[str, Any]]) -> None:
    document.set_database(database)  # pyright: ignore[reportUnknownMemberType]
    document.set_collection(database[document.Settings.name])  # pyright: ignore[reportUnknownMemberType]
