"""Which repository methods each index serves, as their docstrings say; the tests prove the docstrings."""

from datalayer.database import Community, Database, Stories
from datalayer.schema import serves as docstrings

PRODUCTS: tuple[type[Database], ...] = (Community, Stories)


def serves() -> dict[str, docstrings.Serves]:
    """For each collection the methods, written as `posts.feed`, that its indexes serve."""
    return docstrings.serves(PRODUCTS)
