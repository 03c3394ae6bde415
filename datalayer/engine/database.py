"""An open database: the base of every product's own."""

import inspect
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, ClassVar, Literal, Protocol, Self, TypeAlias, TypeVar, get_args

import beanie
import beanie.exceptions
from pymongo import ReadPreference
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import PyMongoError

from datalayer.engine.binding import bind, unbind
from datalayer.engine.client import open_client
from datalayer.engine.clock import Clock, system_clock
from datalayer.engine.connection import Connection
from datalayer.engine.definition import FREE_NAMES
from datalayer.engine.document import Document, collection_classes
from datalayer.engine.errors import InvalidDefinitionError, InvalidInputError, StandaloneServerError
from datalayer.engine.translation import TRANSLATED, translate

T = TypeVar("T")

SchemaMode: TypeAlias = Literal["create", "verify", "skip"]


class EnsureSchema(Protocol):
    """Creates or verifies the schema that the documents declare."""

    def __call__(
        self, database: AsyncDatabase[dict[str, Any]], documents: Sequence[type[Document]], mode: SchemaMode, /
    ) -> Awaitable[None]:
        """Do so."""
        ...


class Database:
    """An open database with its repositories.

    A product subclasses it, and makes its repositories in `__init__`:

    ```python
    class Shop(Database):
        documents = (Product, Order)
        default_name = "shop"
        ensure_schema = staticmethod(ensure_schema)

        def __init__(self, database: AsyncDatabase[dict[str, Any]], clock: Clock) -> None:
            super().__init__(database, clock)
            self.products = Products(self._connection)
    ```

    Attributes:
        documents: The classes of its collections.
        default_name: The database's name where the URI has no path.
        ensure_schema: `datalayer.schema.ensure_schema`, which the engine itself does not know.
        database: The driver's handle.
        clock: Gives Unix milliseconds.
    """

    documents: ClassVar[tuple[type[Document], ...]]
    default_name: ClassVar[str]
    ensure_schema: ClassVar[EnsureSchema]

    def __init__(self, database: AsyncDatabase[dict[str, Any]], clock: Clock) -> None:
        self.database = database
        self.clock = clock
        self._connection = Connection(database, clock, type(self).documents)

    def __init_subclass__(cls, **kwargs: object) -> None:
        """Make sure that each collection has one class.

        Raises:
            InvalidDefinitionError: Two documents have the same collection.
        """
        super().__init_subclass__(**kwargs)
        seen: dict[str, type[Document]] = {}
        for document in vars(cls).get("documents", ()):
            other = seen.setdefault(_collection_of(document), document)
            if other is not document:
                hint = f"`documents = {cls.__mro__[1].__name__}.extended(...)` puts a class in place of another one."
                message = f"{cls.__name__}: {other.__name__} and {document.__name__} have the same collection"
                raise InvalidDefinitionError(f"{message}, {_collection_of(document)!r}.", hint=hint)

    def __repr__(self) -> str:
        # The client's own repr may show the credentials of its URI.
        return f"<{type(self).__name__} {self.database.name!r}>"

    @classmethod
    def extended(cls, *documents: type[Document]) -> tuple[type[Document], ...]:
        """Return the documents of this product, with some replaced by classes that extend them, and others added.

        ```python
        class App(Community):
            documents = Community.extended(Member, WebhookEvent)
        ```

        Args:
            *documents: A subclass of one of the product's documents takes its place. A class with a collection of its
                own is added.

        Raises:
            InvalidDefinitionError: Two classes have the same collection, or a class extends a document that this
                product does not have.
        """
        found = {_collection_of(document): document for document in cls.documents}
        replaced: set[str] = set()
        for document in documents:
            name, bases = _collection_of(document), collection_classes(document)[1:]
            ours = found.get(name)
            if document is ours or name in replaced:
                raise InvalidDefinitionError(f"{document.__name__}: there is another class for {name!r}.")
            if ours is not None and ours not in bases:
                hint = f"Extend that class, or choose another name. {FREE_NAMES}"
                raise InvalidDefinitionError(f"{document.__name__}: {name!r} belongs to {ours.__name__}.", hint=hint)
            if ours is None and bases:
                message = f"{document.__name__} extends {bases[0].__name__}, which is not a document of {cls.__name__}."
                raise InvalidDefinitionError(message)
            found[name] = document
            replaced.add(name)
        return tuple(found.values())

    @classmethod
    @asynccontextmanager
    async def connect(
        cls, uri: str | None = None, *, schema: SchemaMode = "create", clock: Clock | None = None
    ) -> AsyncGenerator[Self]:
        """Open the database at the URI, and close it at the end.

        Closing waits for the transactions that are under way, for 5 s at most; then they are undone, and their callers
        get an `OutcomeUnknownError`. Every later call raises a `DatabaseClosedError`.

        Args:
            uri: Where it is; the environment's `MONGODB_URI` by default. Its path is the name of the database.
            schema: `create` makes the missing collections, validators and indexes; `verify` makes nothing, and raises
                for whatever the documents rely on that is missing or different; `skip` does not look.
            clock: Gives Unix milliseconds; every timestamp that is written comes from it.

        Raises:
            ServerNotFoundError: No URI is given, here or in the environment.
            UnavailableError: Nobody answers there within 5 s, or it is a standalone server.
            SchemaDriftError: The database lacks something that the documents rely on.
            AuthenticationError: The server does not let the user in.
            PermissionDeniedError: The user may not look at the schema, or create what is missing.
        """
        client = open_client(uri)
        async with client:
            database = client.get_default_database(cls.default_name)
            async with cls.over(database, schema=schema, clock=clock) as opened:
                yield opened

    @classmethod
    @asynccontextmanager
    async def over(
        cls, database: AsyncDatabase[dict[str, Any]], *, schema: SchemaMode = "create", clock: Clock | None = None
    ) -> AsyncGenerator[Self]:
        """Open a database whose client the caller owns: the same as `connect`, but the client stays open at the end."""
        if not isinstance(database, AsyncDatabase):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise InvalidInputError("database", "must be an AsyncDatabase of pymongo")
        if clock is not None and not callable(clock):
            raise InvalidInputError("clock", "must be a callable that gives Unix milliseconds")
        if type(schema) is not str or schema not in get_args(SchemaMode):
            raise InvalidInputError("schema", f"must be one of {', '.join(get_args(SchemaMode))}")
        if not database.client.options.retry_writes:
            raise InvalidInputError("retryWrites", "must not be false: a write whose answer is lost would happen twice")
        try:
            await _refuse_standalone(database)
            # A secondary may not have heard of the last change of the schema.
            on_primary = database.with_options(read_preference=ReadPreference.PRIMARY)
            await cls.ensure_schema(on_primary, cls.documents, schema)
            await initialize_beanie(database, cls.documents)
        except TRANSLATED as error:
            raise translate(error, database.client) from error
        opened = cls(database, clock or system_clock)
        bind(database, cls.documents)
        try:
            yield opened
        finally:
            unbind(database, cls.documents)
            await opened._connection.close()

    @asynccontextmanager
    async def snapshot(self) -> AsyncGenerator[None]:
        """Read the state of one moment: all reads inside of the block see it, whatever is written meanwhile.

        ```python
        async with community.snapshot():
            space = await community.spaces.get(space_id)
            page = await community.posts.feed(space_id)
        ```

        The moment is that of the first read, and what a majority has acknowledged by then. The server keeps it for
        5 minutes. Writes and transactions are refused inside of the block; inside a transaction there is a snapshot
        already, and this does nothing.

        Cost: no round trip.

        Raises:
            ConcurrentTransactionError: A task that was started inside of the block used a repository.
            DataLayerError: The block wrote something.
        """
        try:
            async with self._connection.snapshot():
                yield
        except PyMongoError as error:
            raise translate(error) from error

    async def transaction(self, work: Callable[[], Awaitable[T]]) -> T:
        """Run the work in one transaction: all that it does through the repositories happens, or nothing does.

        It is tried again as a whole when it conflicts with others, for 30 s at most; so the work may run several times
        and should do nothing else that cannot be repeated. Inside an open transaction it becomes a part of that.

        The work may catch a refusal, such as a `NotFoundError`, and go on, as long as the method had written nothing
        before it. MongoDB has no savepoints, so any other error inside the work undoes the whole transaction, even if
        the work catches it: an error after a write, a duplicate key, a cancellation or a timeout, and an error that
        leaves a nested `transaction` which has written. Every later call in the work then raises a `DataLayerError`.

        Args:
            work: An async callable without arguments, which awaits one repository call after the other.

        Raises:
            ConcurrentTransactionError: The work started tasks that used the repositories too.
            DataLayerError: The work caught an error that had undone the transaction, which is the `__cause__`.
        """

        async def awaited() -> T:
            result = work()
            if not inspect.isawaitable(result):
                raise InvalidInputError("work", "must be an async callable without arguments")
            return await result

        if not callable(work):
            raise InvalidInputError("work", "must be an async callable without arguments")
        try:
            return await self._connection.transaction(awaited)
        except PyMongoError as error:
            raise translate(error) from error


def _collection_of(document: type[Document]) -> str:
    if not hasattr(getattr(document, "Settings", None), "name"):
        raise InvalidDefinitionError(f"{document.__name__}: its Settings do not name a collection.")
    return document.Settings.name


def is_initialized(document: type[Document]) -> bool:
    """Whether Beanie knows the document."""
    try:
        document.get_settings()
    except beanie.exceptions.CollectionWasNotInitialized:
        return False
    return True


async def initialize_beanie(database: AsyncDatabase[dict[str, Any]], documents: Sequence[type[Document]]) -> None:
    """Let the documents be used as Beanie documents."""
    initialize: Callable[..., Awaitable[None]] = beanie.init_beanie  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]  # noqa: TID251 - without its indexes
    await initialize(database, document_models=list(documents), skip_indexes=True)
    # Of the base, too, which has no collection: pydantic would warn of each document that is defined later.
    for name in Document.model_fields:
        if name in vars(Document):
            delattr(Document, name)


async def _refuse_standalone(database: AsyncDatabase[dict[str, Any]]) -> None:
    hello = await database.command("hello")
    if "setName" not in hello and hello.get("msg") != "isdbgrid":
        raise StandaloneServerError(
            "The server is a standalone one, and transactions need a replica set.",
            hint="Start it with `mongod --replSet rs0` and run `rs.initiate()` once in mongosh; one node is enough.",
        )
