"""What of Beanie the documents do not use: it would cost reads, or lose writes.

The linters refuse the names (`pyproject.toml`). That the repositories send no query of Beanie's is a part of
`tests/plans`; that `connect` lets it make no index, of `tests/server/test_startup.py`.
"""

import pytest

from datalayer.documents import COMMUNITY_DOCUMENTS, STORIES_DOCUMENTS, Document


@pytest.mark.parametrize("document", [*COMMUNITY_DOCUMENTS, *STORIES_DOCUMENTS])
def test_settings_say_nothing_else(document: type[Document]) -> None:
    """No state management, no cache, no revisions, no lazy parsing, no other class in the collection."""
    said = {name for name in dir(document.Settings) if not name.startswith("__")}
    assert said == {"name", "indexes", "shard_key", "keep_nulls"}
