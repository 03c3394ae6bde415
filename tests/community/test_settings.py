"""The community's settings: defaults without a write, one document whoever writes it."""

import asyncio
from typing import Any

import pytest
from bson import ObjectId

from datalayer import Community
from datalayer.documents.community_settings import SETTINGS_ID
from datalayer.engine.fields import StorageId
from datalayer.errors import InvalidInputError, NotFoundError
from datalayer.ids import CommunitySettingsId
from datalayer.testing import count_commands


async def _rows(community: Community) -> list[dict[str, Any]]:
    return await community.database.communitySettings.find().to_list()


@pytest.mark.quick("community_settings")
async def test_defaults_are_not_written(community: Community) -> None:
    settings = await community.community_settings.get()
    assert settings.to_wire() == {"_id": SETTINGS_ID, "name": "Community", "updatedAt": 0}
    assert await _rows(community) == []
    assert await community.community_settings.find(SETTINGS_ID) is None


async def test_an_update_leaves_what_is_not_named(community: Community) -> None:
    """`None` removes; the name is the default until it is set; each is one round trip."""
    settings = community.community_settings
    with count_commands(community) as commands:
        first = await settings.update(primary_color="#b45309", logo_storage_id=StorageId("logo.svg"))
    assert len(commands) == 1
    assert (first.id, first.name, first.primary_color) == (SETTINGS_ID, "Community", "#b45309")
    assert first.updated_at > 0
    await settings.update(name="Open Workshop", custom_domain="example.org")
    third = await settings.update(primary_color=None)
    assert third == await settings.get() == await settings.get(SETTINGS_ID)
    assert third.to_wire() == {
        "_id": SETTINGS_ID,
        "name": "Open Workshop",
        "logoStorageId": "logo.svg",
        "customDomain": "example.org",
        "updatedAt": third.updated_at,
    }


async def test_many_first_updates_at_once_make_one_document(community: Community) -> None:
    """And none of them is lost."""
    settings = community.community_settings
    for _ in range(5):
        await asyncio.gather(
            settings.update(name="Open Workshop"),
            settings.update(primary_color="red"),
            settings.update(custom_domain="example.org"),
            settings.update(logo_storage_id=StorageId("logo.svg")),
            community.transaction(lambda: settings.update(favicon_storage_id=StorageId("icon.ico"))),
            community.transaction(lambda: settings.update(stripe_connected_account_id="acct_1")),
        )
        (row,) = await _rows(community)
        del row["updatedAt"]
        assert row == {
            "_id": SETTINGS_ID,
            "name": "Open Workshop",
            "logoStorageId": "logo.svg",
            "faviconStorageId": "icon.ico",
            "primaryColor": "red",
            "customDomain": "example.org",
            "stripeConnectedAccountId": "acct_1",
        }
        await settings.delete(SETTINGS_ID)


async def test_deleting_goes_back_to_the_defaults(community: Community) -> None:
    await community.community_settings.update(name="Open Workshop")
    await community.community_settings.delete(SETTINGS_ID)
    assert (await community.community_settings.get()).name == "Community"
    for id in (SETTINGS_ID, CommunitySettingsId(ObjectId())):
        with pytest.raises(NotFoundError):
            await community.community_settings.delete(id)
    with pytest.raises(NotFoundError):
        await community.community_settings.get(CommunitySettingsId(ObjectId()))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", None),
        ("name", ""),
        ("name", " "),
        ("name", "x" * 101),
        ("name", {"$gt": ""}),
        ("logo_storage_id", ""),
        ("favicon_storage_id", "x" * 501),
        ("primary_color", "x" * 101),
        ("custom_domain", "x" * 256),
        ("custom_domain", "x\0"),
        ("stripe_connected_account_id", 5),
    ],
)
async def test_bad_input(community: Community, field: str, value: Any) -> None:
    with pytest.raises(InvalidInputError) as error:
        await community.community_settings.update(**{field: value})
    assert error.value.field == field
    assert await _rows(community) == []


@pytest.mark.parametrize("bad", ["5" * 24, {"$gt": ""}, None])
async def test_bad_ids(community: Community, bad: Any) -> None:
    for verb in (community.community_settings.get, community.community_settings.delete):
        with pytest.raises(InvalidInputError) as error:
            await verb(bad)
        assert error.value.field == "id"
