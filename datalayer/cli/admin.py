"""`datalayer admin`: the first admin of a community, whom nobody else could appoint."""

import asyncio
from typing import cast

import click
from bson import ObjectId

from datalayer.cli.opening import location_options, opened
from datalayer.database import Community
from datalayer.documents import User
from datalayer.errors import InvalidInputError
from datalayer.ids import UserId

_PAGE = 100


@click.command()
@click.argument("name", required=False)
@click.option("--auth-user-id", help="The account of the auth service; its user is created if there is none.")
@click.option("--user-id", help="The id of a user that exists.")
@location_options
def admin(name: str | None, auth_user_id: str | None, user_id: str | None, uri: str | None, *, embedded: bool) -> None:
    """Make somebody an admin of the community. Safe to repeat.

    NAME alone creates an admin of that name, unless there is one. With --auth-user-id it is the name of the user who is
    created if the account has none yet.
    """
    if (name is None and auth_user_id is None) == (user_id is None):
        raise click.UsageError("Give a NAME, --auth-user-id with or without a NAME, or --user-id alone.")
    asyncio.run(_run(name, auth_user_id, user_id, uri, embedded=embedded))


async def _run(
    name: str | None, auth_user_id: str | None, user_id: str | None, uri: str | None, *, embedded: bool
) -> None:
    async with opened([Community], uri, embedded=embedded) as databases:
        community = cast("Community", databases[0])

        async def work() -> tuple[User, bool]:
            if user_id is not None:
                user = await community.users.get(_user_id(user_id))
            elif auth_user_id is not None:
                user = (await community.users.ensure(auth_user_id, name=name)).user
            else:
                user = await _admin_called(community, name) or await community.users.create(name=name)
                await community.memberships.ensure(user.id)
            return await community.users.set_role(user.id, "admin"), user.role == "admin"

        user, was_admin = await community.transaction(work)
        who = user.name or user.auth_user_id or "The user"
        click.echo(f"{who} is {'already' if was_admin else 'now'} an admin (id {user.id}).")


def _user_id(digits: str) -> UserId:
    if not ObjectId.is_valid(digits):
        raise InvalidInputError("user-id", "must be an id: 24 hexadecimal digits")
    return UserId(ObjectId(digits))


async def _admin_called(community: Community, name: str | None) -> User | None:
    after = None
    while True:
        page = await community.users.by_role("admin", limit=_PAGE, after=after)
        for user in page.items:
            if user.name == name:
                return user
        if page.next is None:
            return None
        after = page.next
