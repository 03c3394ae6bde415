"""Finds the repository methods that each index serves, from their docstrings. The tests verify the docstrings."""

from datalayer.database import Community, Database, Stories
from datalayer.schema import serves as docstrings

PRODUCTS: tuple[type[Database], ...] = (Community, Stories)


def serves() -> dict[str, docstrings.Serves]:
    """Return for each collection the methods that its indexes serve, written as `posts.feed`."""
    return docstrings.serves(PRODUCTS)
