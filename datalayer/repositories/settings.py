"""The community's own settings."""

from datalayer.documents.settings import CommunitySettings
from datalayer.ids import CommunitySettingsId
from datalayer.repositories.base import Repository


class SettingsRepository(Repository[CommunitySettings, CommunitySettingsId]):
    """The settings document."""

    document = CommunitySettings
