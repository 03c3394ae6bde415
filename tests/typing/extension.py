"""What the type checkers know of a product that extends ours. This module is checked (`make check`), and never run.

Where a `type: ignore` stands, pyright and mypy refuse the line; both complain of one that they do not need.
"""

from typing import assert_type

from datalayer import Page
from datalayer import documents as d
from datalayer import ids as i
from examples.extended import App, Member, WebhookEvent, WebhookEventId


async def own_fields(app: App, user: i.UserId) -> None:
    member = await app.members.get(user)
    assert_type(member, Member)
    assert_type(member.x_timezone, str | None)
    assert_type(member.points, int)
    assert_type(await app.members.find(user), Member | None)
    assert_type(await app.members.get_many([user]), dict[i.UserId, Member])
    assert_type(await app.members.set_timezone(user, "UTC"), Member)
    assert_type(await app.members.in_timezone("UTC"), Page[Member])


async def what_stays(app: App, user: i.UserId) -> None:
    """The repositories of the library, whose documents are those of the product when the program runs."""
    assert_type(await app.users.get(user), d.User)
    async with app.snapshot():
        assert_type(await app.users.create(name="Ada"), d.User)
    async with App.connect() as connected:
        assert_type(connected, App)
    assert_type(App.extended(Member), tuple[type[d.Document], ...])


async def own_collections(app: App, event: WebhookEventId) -> None:
    assert_type(await app.webhooks.get(event), WebhookEvent)
    await app.webhooks.delete(event)


async def refused(app: App, user: i.UserId, post: i.PostId, member: Member) -> None:
    """A misspelt attribute, a wrong id, a value of another type; and a removal past the rules."""
    _ = member.x_timezon  # type: ignore[attr-defined]
    await app.members.get(post)  # type: ignore[arg-type]
    await app.webhooks.get(user)  # type: ignore[arg-type]
    await app.members.set_timezone(user, 1)  # type: ignore[arg-type]
    await app.members.delete(user)  # type: ignore[attr-defined]
    app.memberz  # type: ignore[attr-defined]  # noqa: B018
