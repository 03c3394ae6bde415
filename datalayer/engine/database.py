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
from datalayer.engine.document import Document
from datalayer.engine.errors import InvalidInputError, StandaloneServerError
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
        self._connection = Connection(database, clock)

    def __repr__(self) -> str:
        # The client's own repr may show the credentials of its URI.
        return f"<{type(self).__name__} {self.database.name!r}>"

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


async def _refuse_standalone(database: AsyncDatabase[dict[str, Any]]) -> None:
    hello = await database.command("hello")
    if "setName" not in hello and hello.get("msg") != "isdbgrid":
        raise StandaloneServerError(
            "The server is a standalone one, and transactions need a replica set.",
            hint="Start it with `mongod --replSet rs0` and run `rs.initiate()` once in mongosh; one node is enough.",
        )
