"""An extended product, with a plain one beside it."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import beanie.exceptions
import pytest
from bson import ObjectId
from pydantic import ValidationError
from pymongo import AsyncMongoClient
from pymongo.asynchronous.database import AsyncDatabase

from datalayer import Community
from datalayer.documents import Conversation, Document, Index, Message, Post, User
from datalayer.engine.boundary import UNSET
from datalayer.engine.clock import Clock
from datalayer.engine.document import new_id
from datalayer.engine.extension import Extension
from datalayer.engine.indexes import TableSettings
from datalayer.errors import (
    AlreadyExistsError,
    InvalidCursorError,
    InvalidDefinitionError,
    InvalidInputError,
    NotFoundError,
    SchemaDriftError,
)
from datalayer.ids import MessageId, PostId, UserId
from datalayer.schema.application import apply, plan_for, rehearse
from datalayer.testing import assert_uses_index, count_commands, database_fixture, open_database
from examples.extended import App, Member, Members, Timezone
from tests.extension.products import NotedCommunity
from tests.indexes.things import Silence

Database = AsyncDatabase[dict[str, Any]]

app = database_fixture(App)

BERLIN = "Europe/Berlin"


@pytest.fixture
async def empty(client: AsyncMongoClient[dict[str, Any]]) -> AsyncIterator[Database]:
    """A database of the test's own."""
    database = client[f"extension_{uuid4().hex[:8]}"]
    yield database
    await client.drop_database(database)


async def test_own_fields_are_set_and_read(app: App) -> None:
    """By its own setter in one round trip, and by the repositories of the library."""
    ada = await app.users.create(name="Ada")
    assert (type(ada), ada.x_timezone) == (Member, None)  # type: ignore[attr-defined]
    with count_commands(app) as commands:
        changed = await app.members.set_timezone(ada.id, BERLIN)
    assert (len(commands), changed.x_timezone, changed.name) == (1, BERLIN, "Ada")
    assert await app.users.get(ada.id) == await app.members.get(ada.id) == changed
    assert (await app.users.update_profile(ada.id, bio="Hello")).x_timezone == BERLIN  # type: ignore[attr-defined]
    assert (await app.members.set_timezone(ada.id, None)).x_timezone is None
    assert "xTimezone" not in (await app.database["users"].find_one({"_id": ada.id}) or {})


async def test_setting_moves_updated_at(app: App, datalayer_clock: Any) -> None:
    """But not where nothing is set."""
    ada = await app.users.create(name="Ada")
    datalayer_clock.advance(1_000)
    assert (await app.members.set_timezone(ada.id, BERLIN)).updated_at == ada.updated_at + 1_000
    datalayer_clock.advance(1_000)
    assert (await app.members._set(ada.id, x_timezone=UNSET)).updated_at == ada.updated_at + 1_000


async def test_what_cannot_be_set(app: App) -> None:
    """A field of the library, an unknown one, a value that is not of the type; an unknown document."""
    ada = await app.users.create(name="Ada")
    with pytest.raises(InvalidInputError, match="name: is a field of User: use a method of its repository"):
        await app.members._set(ada.id, name="Bob")
    with pytest.raises(InvalidInputError, match="x_zone: is not a field of Member"):
        await app.members._set(ada.id, x_zone="Bob")
    with pytest.raises(InvalidInputError, match="timezone: must not be blank"):
        await app.members.set_timezone(ada.id, " ")
    with pytest.raises(NotFoundError):
        await app.members.set_timezone(UserId(ObjectId()), BERLIN)
    assert await app.users.get(ada.id) == ada


async def test_values_are_validated_by_the_field_as_well(app: App) -> None:
    """A setter whose argument has a wider type than the field writes nothing wrong."""

    class Careless(Extension[Member, UserId]):
        document = Member

        async def set_zone(self, id: UserId, zone: str) -> Member:
            return await self._set(id, x_timezone=zone)

    ada = await app.users.create(name="Ada")
    with pytest.raises(InvalidInputError, match="x_timezone: must have at most 64 characters"):
        await Careless(app._connection).set_zone(ada.id, "x" * 65)


async def test_an_own_query_goes_by_its_own_index(app: App) -> None:
    """Page by page, newest first."""
    members = [await app.users.create(name=f"Member {number}") for number in range(5)]
    for member in members:
        await app.members.set_timezone(member.id, BERLIN)
    await app.users.create(name="Elsewhere")
    async with assert_uses_index(app, "x_by_timezone"):
        first = await app.members.in_timezone(BERLIN, limit=3)
    second = await app.members.in_timezone(BERLIN, limit=3, after=first.next)
    assert [member.id for member in (*first.items, *second.items)] == [member.id for member in reversed(members)]
    with pytest.raises(InvalidCursorError):
        await app.members.in_timezone("UTC", after=first.next)


async def test_a_setter_joins_a_transaction(app: App) -> None:
    """So an own field can be set where a document is created; it happens with the rest, or not at all."""

    async def sign_up(*, fails: bool) -> User:
        user = await app.users.create(name="Ada")
        user = await app.members.set_timezone(user.id, BERLIN)
        if fails:
            await app.members.set_timezone(UserId(ObjectId()), BERLIN)
        return user

    ada = await app.transaction(lambda: sign_up(fails=False))
    assert await app.members.get(ada.id) == ada
    with pytest.raises(NotFoundError):
        await app.transaction(lambda: sign_up(fails=True))
    assert len((await app.users.directory()).items) == 1


async def test_setters_in_transactions_take_turns_with_other_writes(app: App) -> None:
    """Of the same document: none is lost."""
    ada = await app.users.create(name="Ada")
    await app.gamification_config.set("act", 1)

    async def both(number: int) -> None:
        await app.points.award(ada.id, "act", reference_type="act", reference_id=str(number))
        await app.members.set_timezone(ada.id, f"Zone {number}")

    await asyncio.gather(*(app.transaction(lambda number=number: both(number)) for number in range(16)))
    after = await app.members.get(ada.id)
    assert (after.points, (after.x_timezone or "")[:5]) == (16, "Zone ")


class Notes(Extension[Post, PostId]):
    """Own queries on a table whose documents are marked as deleted; of the class that the product has for it."""

    document = Post

    async def set_note(self, id: PostId, note: str | None) -> Post:
        """Set the note."""
        return await self._set(id, x_note=note)

    async def by_author(self, author_id: UserId, *, deleted: bool = False) -> list[Post]:
        """The author's posts."""
        filter = {"deletedAt": {"$exists": True}} if deleted else {}
        return await self._all({"authorId": author_id, **filter}, hint="by_authorId")


class NotesOnMessages(Extension[Message, MessageId]):
    """Of a table whose documents go with another one."""

    document = Message


noted = database_fixture(NotedCommunity)


async def test_deleted_documents_are_missing(noted: NotedCommunity) -> None:
    """As they are for the repository; unless a filter names them."""
    notes = Notes(noted._connection)
    author, space = await noted.users.create(name="Ada"), await noted.spaces.create(name="General")
    post = await noted.posts.create(space.id, author.id, content="x", content_html="x")
    assert (await notes.set_note(post.id, "kept")).x_note == "kept"  # type: ignore[attr-defined]
    await noted.posts.delete(post.id)
    assert await notes.find(post.id) is None
    assert await notes.get_many([post.id]) == {}
    assert await notes.by_author(author.id) == []
    assert [found.id for found in await notes.by_author(author.id, deleted=True)] == [post.id]
    with pytest.raises(NotFoundError):
        await notes.set_note(post.id, "gone")
    assert (await noted.posts.restore(post.id)).x_note == "kept"  # type: ignore[attr-defined]


async def test_what_goes_with_another_document_is_missing_without_it(noted: NotedCommunity) -> None:
    """A removal of very many goes on for a while: they are hidden from its beginning."""
    notes = NotesOnMessages(noted._connection)
    ada, bob = [await noted.users.create(name=name) for name in ("Ada", "Bob")]
    conversation = await noted.conversations.open(ada.id, bob.id)
    message = await noted.messages.send(conversation.id, ada.id, "Hello")
    assert await notes.get(message.id) == message
    await noted.database[Conversation.Settings.name].delete_one({"_id": conversation.id})
    assert await notes.find(message.id) is None
    assert await notes.get_many([message.id]) == {}


async def test_a_class_that_the_product_does_not_list_is_refused(app: App) -> None:
    """Also one that extends a listed class, and was defined after the database was opened."""

    class Late(User):
        x_late: Timezone | None = None

    class Lates(Extension[Late, UserId]):
        document = Late

    with pytest.raises(InvalidDefinitionError, match=r"Lates: Late is not among the documents .*extended\(Late\)"):
        Lates(app._connection)
    async with Community.over(app.database) as plain:
        with pytest.raises(InvalidDefinitionError, match="Members: Member is not among"):
            Members(plain._connection)


async def test_beanie_is_bound_to_what_is_open(app: App, empty: Database) -> None:
    """Also the classes that are extended: when a database is closed, the one that was opened before is theirs again."""
    await app.users.create(name="Here")
    async with App.over(empty) as other:
        await other.users.create(name="There")
        for document in (Member, User):
            assert [user.name for user in await document.find_all().to_list()] == ["There"]
    for document in (Member, User):
        assert [user.name for user in await document.find_all().to_list()] == ["Here"]


async def test_a_class_may_be_defined_after_its_base_was_opened(app: App) -> None:
    """Beanie sets attributes on classes that are open; they are no defaults of the fields that a subclass inherits."""
    await app.users.create(name="Ada")

    class Other(Document):
        id: UserId = new_id()

        class Settings(TableSettings):
            name = "x_others"

    assert isinstance(Other().id, ObjectId)

    class Later(Member):
        x_later: Timezone | None = None

    assert {name for name, field in Later.model_fields.items() if field.is_required()} == {
        name for name, field in Member.model_fields.items() if field.is_required()
    }
    with pytest.raises(ValidationError):
        Later(visibility="public", role="member")  # type: ignore[call-arg]
    with pytest.raises(beanie.exceptions.CollectionWasNotInitialized):
        await Later.find_all().to_list()
    late = Later(visibility="public", role="member", points=0, level=1, created_at=1, updated_at=1)
    assert (late.name, late.x_timezone, late.x_later) == (None, None, None)


async def test_a_misspelt_index_is_named(app: App) -> None:
    class Misspelt(Extension[Member, UserId]):
        document = Member

        async def page(self) -> object:
            return await self._page({}, "x_by_timezon", 20, None)

    with pytest.raises(InvalidDefinitionError, match="Misspelt: Member has no index 'x_by_timezon'"):
        await Misspelt(app._connection).page()


async def test_a_plain_and_an_extended_product_are_open_at_once(app: App) -> None:
    """Each returns its own classes; the plain one leaves own fields out, and its writes keep them."""
    ada = await app.users.create(name="Ada")
    await app.members.set_timezone(ada.id, BERLIN)
    async with Community.over(app.database, schema="verify") as plain, Community.over(app.database):
        seen = await plain.users.get(ada.id)
        assert (type(seen), seen.name) == (User, "Ada")
        assert type(await plain.users.set_role(ada.id, "moderator")) is User
        assert type(await app.users.get(ada.id)) is Member
        assert [type(user) for user in await User.find(User.name == "Ada").to_list()] == [User]
        assert [member.x_timezone for member in await Member.find(Member.x_timezone == BERLIN).to_list()] == [BERLIN]
    assert (await app.members.get(ada.id)).x_timezone == BERLIN


async def test_an_own_unique_index_refuses_the_second_one(empty: Database) -> None:
    """And documents without the field are no matter of it."""

    class Named(User):
        x_handle: Timezone | None = None

        class Settings(User.Settings):
            """The collection."""

            indexes = (
                *User.Settings.indexes,
                Index("x_by_handle", "xHandle", unique=True, where={"xHandle": {"$exists": True}}),
            )

    class Handles(Extension[Named, UserId]):
        document = Named

        async def set_handle(self, id: UserId, handle: Timezone) -> Named:
            return await self._set(id, x_handle=handle)

    class Own(Community):
        documents = Community.extended(Named)

        def __init__(self, database: Database, clock: Clock) -> None:
            super().__init__(database, clock)
            self.handles = Handles(self._connection)

    async with Own.over(empty) as own:
        ada, bob = [await own.users.create(name=name) for name in ("Ada", "Bob")]
        await own.handles.set_handle(ada.id, "ada")
        with pytest.raises(AlreadyExistsError) as refused:
            await own.handles.set_handle(bob.id, "ada")
        assert refused.value.index == "x_by_handle"
        async with Community.over(empty, schema="verify") as plain:
            await plain.users.create(name="Cleo")


async def test_the_plain_product_leaves_the_schema_of_an_extended_one_alone(empty: Database) -> None:
    """It starts in both modes, and `apply` takes nothing away; only `--drop` would, and says what."""
    async with App.over(empty) as app:
        ada = await app.users.create(name="Ada")
        await app.members.set_timezone(ada.id, BERLIN)
    async with Community.over(empty, schema="verify"), Community.over(empty, schema="create"):
        pass
    outcome = await apply(empty, Community.documents, Silence(), known=frozenset())
    assert (outcome.done, outcome.blocked, outcome.ready) == ([], {}, True)
    left = {step.place: (step.action.value, step.why, step.needs_drop, step.required) for step in outcome.left}
    assert left.pop("users") == ("set validator", "its validator allows more: xTimezone", True, False)
    assert left.pop("users.x_by_timezone") == ("hide index", "no document declares it", True, False)
    assert {place: action for place, (action, *_) in left.items()} == {
        "x_webhookEvents": "look into",
        "x_rateWindows": "look into",
    }
    assert [step.place for step in await plan_for(empty, App.documents)] == []
    # Even then: no field that is in use, and an index is only hidden.
    dropping = await rehearse(empty, Community.documents, drop=True)
    assert [step.place for step in dropping.blocked] == ["users"]
    async with App.over(empty, schema="verify") as again:
        assert (await again.members.get(ada.id)).x_timezone == BERLIN


async def test_an_existing_database_is_extended(empty: Database) -> None:
    """A start says what to do; `apply` does it, and documents that were there can be read."""
    async with Community.over(empty) as plain:
        ada = await plain.users.create(name="Ada")
        with pytest.raises(SchemaDriftError, match="users: its validator is different") as drift:
            async with App.over(empty):
                pass
        assert "--product" in str(drift.value)
        assert (await apply(empty, App.documents, Silence())).ready
        async with App.over(empty, schema="verify") as app:
            assert (await app.members.get(ada.id)).x_timezone is None
            await app.members.set_timezone(ada.id, BERLIN)
        assert (await plain.users.get(ada.id)).name == "Ada"


async def test_an_extended_product_works_in_memory() -> None:
    async with open_database(App, memory=True) as app:
        ada = await app.users.create(name="Ada")
        await app.members.set_timezone(ada.id, BERLIN)
        page = await app.members.in_timezone(BERLIN)
        assert [member.x_timezone for member in page.items] == [BERLIN]
        assert [await app.rate_limits.allow("k", times=2, seconds=60) for _ in range(3)] == [True, True, False]
        async with app.snapshot():
            assert await app.users.get(ada.id) == page.items[0]
