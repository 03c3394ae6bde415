"""The community's own settings."""

from bson import ObjectId

from datalayer.engine.document import Document, new_id
from datalayer.engine.fields import ExternalId, File, Name, Timestamp
from datalayer.engine.indexes import TableSettings
from datalayer.ids import CommunitySettingsId

SETTINGS_ID = CommunitySettingsId(ObjectId("000000000000000000000001"))
"""There is one document, so its id is a fixed one."""


class CommunitySettings(Document):
    """The settings; there is one such document."""

    id: CommunitySettingsId = new_id()
    name: Name
    logo_storage_id: File | None = None
    favicon_storage_id: File | None = None
    primary_color: Name | None = None
    custom_domain: ExternalId | None = None
    stripe_connected_account_id: ExternalId | None = None
    updated_at: Timestamp

    class Settings(TableSettings):
        """The collection."""

        name = "communitySettings"
