"""An open database: the base class of every product's database."""

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
        """Create or verify the schema."""
        ...


class Database:
    """An open database with its repositories.

    A product subclasses it and creates its repositories in `__init__`:

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
        documents: The document classes of its collections.
        default_name: The database name to use if the URI has no path.
        ensure_schema: `datalayer.schema.ensure_schema`; the engine itself does not import it.
        database: The driver's database handle.
        clock: Returns the current time in Unix milliseconds.
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
        """Open the database at the URI, and close it when the block ends.

        Closing waits up to 5 s for running transactions. Transactions that take longer are rolled back, and their
        callers get an `OutcomeUnknownError`. Every later call raises a `DatabaseClosedError`.

        Args:
            uri: The MongoDB URI; defaults to `MONGODB_URI` in the environment. Its path is the database name.
            schema: `create` creates missing collections, validators and indexes. `verify` creates nothing, and raises
                if anything that the documents rely on is missing or different. `skip` does not check.
            clock: Returns the current time in Unix milliseconds. Every written timestamp comes from it.

        Raises:
            ServerNotFoundError: No URI was given, and `MONGODB_URI` is not set.
            UnavailableError: No server responded within 5 s, or the server is a standalone server.
            SchemaDriftError: The database lacks something that the documents rely on.
            AuthenticationError: The server did not authenticate the user.
            PermissionDeniedError: The user may not read the schema, or may not create what is missing.
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
        """Open a database of an existing client. Like `connect`, but the client stays open when the block ends."""
        if not isinstance(database, AsyncDatabase):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise InvalidInputError("database", "must be an AsyncDatabase of pymongo")
        if clock is not None and not callable(clock):
            raise InvalidInputError("clock", "must be a callable that returns Unix milliseconds")
        if type(schema) is not str or schema not in get_args(SchemaMode):
            raise InvalidInputError("schema", f"must be one of {', '.join(get_args(SchemaMode))}")
        if not database.client.options.retry_writes:
            raise InvalidInputError("retryWrites", "must not be false: a write whose reply is lost would run twice")
        try:
            await _refuse_standalone(database)
            # A secondary may not have replicated the last schema change yet.
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
        """Run the work in one transaction: all of its repository calls take effect, or none does.

        Transactions are retried on write conflicts for up to 30 s. The work may therefore run several times: keep side
        effects out of it. Inside an open transaction, the work joins that transaction.

        The work may catch an error such as `NotFoundError` and continue, if the method that raised it had not written
        anything. MongoDB has no savepoints, so any other error inside the work rolls back the whole transaction, even
        if the work catches it: an error after a write, a duplicate key, a cancellation or timeout, or an error that
        leaves a nested `transaction` which has written. Every later call in the work then raises a `DataLayerError`.

        Args:
            work: An async callable without arguments that awaits repository calls one after another.

        Raises:
            ConcurrentTransactionError: The work started tasks that also used the repositories.
            DataLayerError: The work caught an error that had rolled back the transaction; that error is the
                `__cause__`.
        """

        async def awaited() -> T:
            result = work()
            if not inspect.isawaitable(result):
                raise InvalidInputError("work", "must be an async callable without arguments")
            return await result

        if inspect.iscoroutine(work):
            # Nobody is going to await it, and Python would warn about that.
            work.close()
            raise InvalidInputError("work", "must be an async callable without arguments: pass `work`, not `work()`")
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
    """Return whether Beanie has initialized the document class."""
    try:
        document.get_settings()
    except beanie.exceptions.CollectionWasNotInitialized:
        return False
    return True


async def initialize_beanie(database: AsyncDatabase[dict[str, Any]], documents: Sequence[type[Document]]) -> None:
    """Initialize Beanie for the document classes, without creating their indexes."""
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
            "The server is a standalone server; transactions require a replica set.",
            hint="Start it with `mongod --replSet rs0` and run `rs.initiate()` once in mongosh; one node is enough.",
        )
