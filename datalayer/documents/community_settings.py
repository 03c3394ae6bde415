"""The community's own settings."""

from typing import ClassVar

from bson import ObjectId
from pydantic import field_validator
from pydantic_core import PydanticCustomError

from datalayer.engine.document import Document
from datalayer.engine.fields import ExternalId, File, Name, Timestamp
from datalayer.engine.indexes import TableSettings
from datalayer.ids import CommunitySettingsId

SETTINGS_ID = CommunitySettingsId(ObjectId("000000000000000000000001"))
"""There is one document, so its id is a fixed one."""


class CommunitySettings(Document):
    """The settings; there is one such document."""

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
        """As `check`, for what never reaches the server."""
        if id != SETTINGS_ID:
            raise PydanticCustomError("settings_id", "must be the id of the settings")
        return id

    class Settings(TableSettings):
        """The collection."""

        name = "communitySettings"
        check: ClassVar = {"_id": SETTINGS_ID}
        written_by = "community.community_settings: update"
