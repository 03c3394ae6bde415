"""Products that extend every collection of ours by a field."""

from collections.abc import Sequence
from typing import Annotated, Any, cast

from datalayer import Community, Stories
from datalayer.documents import Document
from datalayer.engine.fields import Text

NOTE = "xNote"


def noted(document: type[Document]) -> type[Document]:
    """A class that extends the document by an own field, `x_note`."""
    declared: dict[str, Any] = {
        "__module__": __name__,
        "__doc__": f"A {document.__name__} with a note.",
        "__annotations__": {"x_note": Annotated[str, Text(1, 50)] | None},
        "x_note": None,
    }
    return cast("type[Document]", type(document)(f"Noted{document.__name__}", (document,), declared))


def all_noted(documents: Sequence[type[Document]]) -> tuple[type[Document], ...]:
    return tuple(noted(document) for document in documents)


class NotedCommunity(Community):
    """Each of its documents has a note."""

    documents = Community.extended(*all_noted(Community.documents))


class NotedStories(Stories):
    """Each of its documents has a note."""

    documents = Stories.extended(*all_noted(Stories.documents))
