"""A database that worlds are written into."""

import hashlib
from dataclasses import dataclass
from typing import Any

from bson import encode

from datalayer import Community, Stories
from datalayer.seeding import Filled, Table, World, fill
from seed.worlds import world

_FEW = {
    "posts": 40,
    "rewarded_posts": 40,
    "reports": 5,
    "users": 30,
    "follows_per_user": 4,
    "conversations": 8,
    "courses": 2,
    "events": 4,
    "stories": 1,
}
TINY = world("small", 1).model_copy(update=_FEW)
"""A world that is written in a moment."""


class Notes:
    """An observer that remembers, and may fail on purpose."""

    def __init__(self, fail_at: str | None = None) -> None:
        self.fail_at = fail_at
        self.inserted_by_table: dict[str, int] = {}
        self._name = ""

    def started(self, table: Table) -> None:
        """Remember the table."""
        self._name = table.name
        self.inserted_by_table[table.name] = 0

    def inserted(self, number: int) -> None:
        """Count; fail where it was asked for."""
        self.inserted_by_table[self._name] += number
        if self._name == self.fail_at:
            raise InterruptedError

    def finished(self, seconds: float) -> None:
        """Time has passed."""
        assert seconds >= 0


@dataclass(frozen=True)
class Place:
    """One database that is both, a community and stories."""

    community: Community
    stories: Stories

    @property
    def database(self) -> Any:
        """The database of both."""
        return self.community.database

    async def fill(self, world: World, *, force: bool = False, notes: Notes | None = None) -> Filled:
        """Write the world."""
        return await fill(self.community, self.stories, world, notes or Notes(), force=force)

    async def digests(self) -> dict[str, str]:
        """What the bytes of each collection come down to."""
        found: dict[str, str] = {}
        for document in (*Community.documents, *Stories.documents):
            digest = hashlib.sha256()
            for row in await self.database[document.Settings.name].find().sort("_id").to_list():
                digest.update(encode(row))
            found[document.Settings.name] = digest.hexdigest()
        return found
