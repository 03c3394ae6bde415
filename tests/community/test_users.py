"""People: accounts, profiles and the copies of them, roles."""

import asyncio
from functools import partial
from typing import Any

import pytest
from bson import ObjectId

from datalayer import Community
from datalayer.documents import Comment, Message, Post
from datalayer.errors import AlreadyExistsError, InvalidInputError, LastAdminError, NotFoundError
from datalayer.ids import UserId
from datalayer.testing import FrozenClock, count_commands
from tests.community.test_pages import read_all
from tests.community.world import people, person, post, space
from tests.examples import full_wire


async def test_an_account_has_one_user(community: Community) -> None:
    """However many ask at once; each gets the same, one of them as a new one, and there is one free membership."""
    found = await asyncio.gather(*(community.users.ensure("auth|1", name=f"Name {n}") for n in range(12)))
    users = [ensured.user for ensured in found]
    assert [ensured.newly for ensured in found].count(True) == 1
    assert len({user.id for user in users}) == 1
    assert await community.users.by_auth_user_id("auth|1") == await community.users.get(users[0].id)
    (membership,) = await community.database.memberships.find().to_list()
    assert (membership["userId"], membership["tier"]) == (users[0].id, "free")
    with pytest.raises(AlreadyExistsError) as error:
        await community.users.create(auth_user_id="auth|1")
    assert (error.value.index, error.value.fields) == ("by_authUserId", {"authUserId": "auth|1"})
    again = await community.users.ensure("auth|1", name="Other")
    assert (again.user.name, again.newly) == (users[0].name, False)
    assert await community.users.by_auth_user_id("auth|2") is None


async def test_ensure_gives_an_older_user_a_membership(community: Community) -> None:
    user = await community.users.create(auth_user_id="auth|1")
    ensured = await community.users.ensure("auth|1")
    assert (ensured.user.id, ensured.newly) == (user.id, False)
    assert await community.database.memberships.count_documents({"userId": user.id}) == 1


async def test_the_profile_changes_by_field(community: Community) -> None:
    """What is left out stays, and `None` removes."""
    user = await community.users.create(name="Ada", bio="Hello", avatar_storage_id="file1")  # type: ignore[arg-type]
    changed = await community.users.update_profile(user.id, bio=None, visibility="private")
    assert (changed.name, changed.bio, changed.visibility) == ("Ada", None, "private")
    assert "bio" not in (await community.database.users.find_one() or {})
    changed = await community.users.update_profile(user.id, name=None, avatar_storage_id=None)
    assert (changed.name, changed.avatar_storage_id) == (None, None)
    with pytest.raises(NotFoundError):
        await community.users.update_profile(UserId(ObjectId()), bio="x")


async def test_a_new_name_is_carried_to_all_copies(community: Community) -> None:
    """10,000 posts, and the comments and messages; other people's stay; the avatar goes along; both can be removed."""
    user, other = await people(community, 2)
    room = await space(community)
    mine = {"spaceId": room.id, "authorId": user.id, "authorName": user.name}
    example = {key: value for key, value in full_wire(Post).items() if key not in ("_id", "authorAvatar")}
    posts = community.database.posts
    await posts.insert_many([example | mine for _ in range(10_000)])
    foreign = await post(community, room, other)
    comment = await community.comments.create(foreign.id, user.id, "yes")
    message = full_wire(Message) | {"senderId": user.id}
    await community.database.messages.insert_one(message)

    await community.users.update_profile(user.id, name="Grace", avatar_storage_id="file2")  # type: ignore[arg-type]
    assert await posts.count_documents({"authorName": "Grace", "authorAvatar": "file2"}) == 10_000
    assert (await community.posts.get(foreign.id)).author_name == other.name
    changed = await community.comments.get(comment.id)
    assert (changed.author_name, changed.author_avatar) == ("Grace", "file2")
    assert (await community.database.messages.find_one() or {})["senderName"] == "Grace"

    await community.users.update_profile(user.id, name=None, avatar_storage_id=None)
    assert await posts.count_documents({"authorName": "Member", "authorAvatar": {"$exists": False}}) == 10_000


async def test_a_failed_change_of_name_changes_nothing(community: Community) -> None:
    """Readers never see half of it: the server refuses one copy, and the profile and all other copies stay."""
    user = await person(community)
    first = await post(community, author=user)
    await community.database.command("collMod", "comments", validator={"authorName": {"$ne": "Grace"}})
    declared = Comment  # the last of the tables with copies that has one
    try:
        await community.comments.create(first.id, user.id, "yes")
        with pytest.raises(InvalidInputError):
            await community.users.update_profile(user.id, name="Grace")
    finally:
        from datalayer.schema.validators import validator  # noqa: PLC0415

        await community.database.command("collMod", "comments", validator=validator(declared))
    assert (await community.users.get(user.id)).name == "Ada"
    assert (await community.posts.get(first.id)).author_name == "Ada"


async def test_a_change_of_name_leaves_no_new_copy_behind(community: Community) -> None:
    """Posts and comments that are written while names change have the name of the end."""
    user, room = await person(community), await space(community)
    target = await post(community, room, user)
    await asyncio.gather(
        *(community.users.update_profile(user.id, name=f"Name {n}") for n in range(4)),
        *(post(community, room, user) for _ in range(8)),
        *(community.comments.create(target.id, user.id, "yes") for _ in range(8)),
    )
    name = (await community.users.get(user.id)).name
    for collection in (community.database.posts, community.database.comments):
        assert await collection.distinct("authorName") == [name]


async def test_notification_prefs_merge(community: Community) -> None:
    user = await person(community)
    assert user.notification_prefs is None
    await community.users.update_notification_prefs(user.id, email_dms=False)
    prefs = (await community.users.update_notification_prefs(user.id, digest_frequency="off")).notification_prefs
    assert prefs is not None
    assert (prefs.email_dms, prefs.email_comments, prefs.digest_frequency) == (False, True, "off")


async def test_a_change_is_noted_with_its_time(community: Community, datalayer_clock: FrozenClock) -> None:
    """Whatever changes of the user; what is no change is not noted, and nobody else's is."""
    user, other = await people(community, 2)
    for change in (
        partial(community.users.update_profile, user.id, bio="Hello"),
        partial(community.users.update_profile, user.id, name="Grace"),
        partial(community.users.update_notification_prefs, user.id, email_dms=False),
        partial(community.users.set_role, user.id, "moderator"),
    ):
        datalayer_clock.advance(1)
        assert (await change()).updated_at == datalayer_clock.now
    noted = datalayer_clock.now
    datalayer_clock.advance(1)
    await community.gamification_config.set("post", 5)
    await community.points.award(user.id, "post")
    await post(community, author=user)
    for nothing in (
        community.users.update_profile(user.id),
        community.users.update_notification_prefs(user.id),
        community.users.set_role(user.id, "moderator"),
    ):
        assert (await nothing).updated_at == noted
    assert (await community.users.get(other.id)).updated_at == other.updated_at
    for missing in (
        community.users.update_notification_prefs(UserId(ObjectId()), email_dms=False),
        community.users.set_role(UserId(ObjectId()), "admin"),
    ):
        with pytest.raises(NotFoundError):
            await missing


@pytest.mark.quick("users")
async def test_there_is_always_an_admin(community: Community) -> None:
    """Once there is one: also when all depose each other at once."""
    admins = [await community.users.create(role="admin") for _ in range(3)]
    results = await asyncio.gather(
        *(community.users.set_role(admin.id, "member") for admin in admins), return_exceptions=True
    )
    assert sum(isinstance(result, LastAdminError) for result in results) == 1
    (left,) = (await community.users.by_role("admin")).items
    with pytest.raises(LastAdminError):
        await community.users.delete(left.id)
    assert (await community.users.set_role(left.id, "admin")).role == "admin"
    await community.users.create(role="admin")
    await community.users.delete(left.id)
    assert await community.users.find(left.id) is None


async def test_a_removed_user_takes_the_membership_and_all_points_along(community: Community) -> None:
    """Every entry of the user, and nothing of anybody else's."""
    gone, kept = await people(community, 2)
    await community.gamification_config.set("post", 5)
    for user in (gone, gone, kept):
        await community.points.award(user.id, "post")
        await community.memberships.ensure(user.id)
    await community.users.delete(gone.id)
    for table in ("points", "memberships"):
        assert [row["userId"] for row in await community.database[table].find().to_list()] == [kept.id]
    with pytest.raises(NotFoundError):
        await community.users.delete(gone.id)


async def test_the_directory(community: Community) -> None:
    """By points or by age; one query a page."""
    users = await people(community, 7)
    for user, points in zip(users, (5, 0, 9, 5, 1, 0, 7), strict=True):
        await community.database.users.update_one({"_id": user.id}, {"$set": {"points": points}})
    found = await read_all(community.users.directory)
    assert [user.points for user in found] == [9, 7, 5, 5, 1, 0, 0]
    newest = await read_all(community.users.directory, "newest")
    assert [user.created_at for user in newest] == sorted((user.created_at for user in users), reverse=True)
    with count_commands(community) as commands:
        await community.users.directory("newest")
    assert len(commands) == 1


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "   "}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"name": "a\0b"}, "name"),
        ({"name": "\ud800"}, "name"),
        ({"name": {"$gt": ""}}, "name"),
        ({"name": 5}, "name"),
        ({"bio": "x" * 501}, "bio"),
        ({"role": "king"}, "role"),
        ({"visibility": None}, "visibility"),
        ({"auth_user_id": ""}, "auth_user_id"),
        ({"email": "a@b"}, "email"),
    ],
)
async def test_bad_input(community: Community, arguments: dict[str, Any], field: str) -> None:
    """Names the field, and writes nothing."""
    with pytest.raises(InvalidInputError) as error:
        await community.users.create(**arguments)
    assert error.value.field == field
    assert await community.database.users.count_documents({}) == 0


async def test_bad_input_to_changes(community: Community) -> None:
    user = await person(community)
    wrong: list[tuple[Any, dict[str, Any], str]] = [
        (community.users.update_profile, {"name": ""}, "name"),
        (community.users.update_profile, {"visibility": None}, "visibility"),
        (community.users.update_profile, {"bio": {"$gt": ""}}, "bio"),
        (community.users.update_notification_prefs, {"email_dms": 1}, "email_dms"),
        (community.users.update_notification_prefs, {"digest_frequency": "never"}, "digest_frequency"),
        (community.users.update_notification_prefs, {"emails": True}, "emails"),
        (community.users.set_role, {"role": "owner"}, "role"),
    ]
    for method, arguments, field in wrong:
        with pytest.raises(InvalidInputError) as error:
            await method(user.id, **arguments)
        assert error.value.field == field
    assert await community.users.get(user.id) == user
