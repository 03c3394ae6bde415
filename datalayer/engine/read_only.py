"""The read-only collection that Beanie's own methods use."""

from typing import Any

from datalayer.engine.errors import DirectWriteError

_WRITES = frozenset(
    {
        "bulk_write",
        "delete_many",
        "delete_one",
        "drop",
        "find_one_and_delete",
        "find_one_and_replace",
        "find_one_and_update",
        "insert_many",
        "insert_one",
        "rename",
        "replace_one",
        "update_many",
        "update_one",
    }
)


class ReadOnlyCollection:
    """A collection of the driver without its write methods.

    Args:
        collection: The collection of the driver, or a stand-in for it.
        written_by: The repository that writes to the collection, with its methods; for the hint of the error.
    """

    def __init__(self, collection: Any, written_by: str) -> None:  # noqa: ANN401 - also the mock's
        self._collection = collection
        self._written_by = written_by

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - as the collection's
        if name in _WRITES:
            raise DirectWriteError(self._collection.name, name, self._written_by)
        return getattr(self._collection, name)
