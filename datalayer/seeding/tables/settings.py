"""The settings of the community."""

from collections.abc import Iterator
from typing import Any

from bson import ObjectId

from datalayer.seeding.world import World

SETTINGS = ObjectId("000000000000000000000001")
"""The fixed id of the only document."""


def settings_rows(world: World) -> Iterator[dict[str, Any]]:
    """The document."""
    yield {
        "_id": SETTINGS,
        "name": "The Open Workshop",
        "logoStorageId": "brand/open-workshop.svg",
        "faviconStorageId": "brand/open-workshop.ico",
        "primaryColor": "#b45309",
        "updatedAt": world.start,
    }
