"""The community's settings."""

from pymongo import ReturnDocument

from datalayer.documents.community_settings import SETTINGS_ID, CommunitySettings
from datalayer.engine.boundary import UNSET, Unset
from datalayer.engine.fields import ExternalId, File, Name
from datalayer.engine.repository import Repository
from datalayer.ids import CommunitySettingsId

DEFAULT_NAME = "Community"


class SettingsRepository(Repository[CommunitySettings, CommunitySettingsId]):
    """The community's settings: one document with a fixed id."""

    document = CommunitySettings

    async def get(self, id: CommunitySettingsId = SETTINGS_ID) -> CommunitySettings:
        """Return the settings.

        Before the first `update` these are the defaults, with `updatedAt` 0.

        Raises:
            NotFoundError: The given id is not that of the settings.

        Cost: 1 round trip; index `_id`.
        """
        found = await self._one({"_id": id})
        return _defaults(self.document) if found is None and id == SETTINGS_ID else self._found(found, id)

    async def update(
        self,
        *,
        name: Name | Unset = UNSET,
        logo_storage_id: File | Unset | None = UNSET,
        favicon_storage_id: File | Unset | None = UNSET,
        primary_color: Name | Unset | None = UNSET,
        custom_domain: ExternalId | Unset | None = UNSET,
        stripe_connected_account_id: ExternalId | Unset | None = UNSET,
    ) -> CommunitySettings:
        """Change the given settings and return all of them.

        Cost: 1 round trip; index `_id`.
        """
        changes = self._changes(
            name=name,
            logo_storage_id=logo_storage_id,
            favicon_storage_id=favicon_storage_id,
            primary_color=primary_color,
            custom_domain=custom_domain,
            stripe_connected_account_id=stripe_connected_account_id,
            updated_at=self._now(),
        )
        if not changes:
            return await self._one({"_id": SETTINGS_ID}, durable=True) or _defaults(self.document)
        if name is UNSET:
            changes["$setOnInsert"] = {"name": DEFAULT_NAME}
        wire = await self._collection.find_one_and_update(
            {"_id": SETTINGS_ID}, changes, upsert=True, return_document=ReturnDocument.AFTER
        )
        return self.document.from_wire(wire or {})


def _defaults(document: type[CommunitySettings]) -> CommunitySettings:
    return document(id=SETTINGS_ID, name=DEFAULT_NAME, updated_at=0)
