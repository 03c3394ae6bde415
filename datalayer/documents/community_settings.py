"""The community's settings."""

from typing import ClassVar

from bson import ObjectId
from pydantic import field_validator
from pydantic_core import PydanticCustomError

from datalayer.engine.document import Document
from datalayer.engine.fields import ExternalId, File, Name, Timestamp
from datalayer.engine.indexes import TableSettings
from datalayer.ids import CommunitySettingsId

SETTINGS_ID = CommunitySettingsId(ObjectId("000000000000000000000001"))
"""The fixed id of the only document."""


class CommunitySettings(Document):
    """The settings of the community, a single document."""

    id: CommunitySettingsId = SETTINGS_ID
    name: Name
    logo_storage_id: File | None = None
    favicon_storage_id: File | None = None
    primary_color: Name | None = None
    custom_domain: ExternalId | None = None
    stripe_connected_account_id: ExternalId | None = None
    updated_at: Timestamp

    @field_validator("id")
    @classmethod
    def _is_the_one(cls, id: CommunitySettingsId) -> CommunitySettingsId:
        """The same rule as `check`, for documents that never reach the server."""
        if id != SETTINGS_ID:
            raise PydanticCustomError("settings_id", "must be the id of the settings")
        return id

    class Settings(TableSettings):
        """The collection."""

        name = "communitySettings"
        check: ClassVar = {"_id": SETTINGS_ID}
        written_by = "community.community_settings: update"
