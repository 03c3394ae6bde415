"""Where the data is: the two databases, open."""

import inspect
import warnings
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, ClassVar, Self, TypeVar, get_args
from urllib.parse import unquote

import beanie
from pymongo import AsyncMongoClient
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import PyMongoError
from pymongo.uri_parser import split_options

from datalayer import repositories
from datalayer.clock import Clock, system_clock
from datalayer.documents import COMMUNITY_DOCUMENTS, STORIES_DOCUMENTS, Document
from datalayer.driver import keep_locks
from datalayer.errors import InvalidInputError, ServerNotFoundError, StandaloneServerError
from datalayer.repositories.connection import Connection
from datalayer.schema import SchemaMode, ensure_schema
from datalayer.settings import Settings
from datalayer.translation import TRANSLATED, translate

T = TypeVar("T")

_SRV = "mongodb+srv://"

_LONGEST_NAME = 63
"""How many bytes the name of a database may have, for MongoDB."""

SERVER_SELECTION_MS = 5_000
"""How long a server may take to answer at all, where the URI says nothing of it."""

keep_locks()


class Database:
    """An open database with its repositories."""

    documents: ClassVar[tuple[type[Document], ...]]
    default_name: ClassVar[str]

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

        Args:
            uri: Where it is; the environment's `MONGODB_URI` by default. Its path is the name of the database.
            schema: `create` makes the missing collections, validators and indexes; `verify` makes nothing and raises
                for any difference; `skip` does not look.
            clock: Gives Unix milliseconds; every timestamp that is written comes from it.

        Raises:
            ServerNotFoundError: No URI is given, here or in the environment.
            UnavailableError: Nobody answers there within 5 s, or it is a standalone server.
            SchemaDriftError: The database's schema differs.
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
        """Open a database whose client the caller owns: the same as `connect`, but nothing is closed at the end."""
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
            await ensure_schema(database, cls.documents, schema)
            await _bind_beanie(database, cls.documents)
        except TRANSLATED as error:
            raise translate(error) from error
        yield cls(database, clock or system_clock)

    async def transaction(self, work: Callable[[], Awaitable[T]]) -> T:
        """Run the work in one transaction: all that it does through the repositories happens, or nothing does.

        It is tried again as a whole when it conflicts with others, for 30 s at most; so the work may run several times
        and should do nothing else that cannot be repeated. Inside an open transaction it becomes a part of that.

        Args:
            work: An async callable without arguments, which awaits one repository call after the other.

        Raises:
            ConcurrentTransactionError: The work started tasks that used the repositories too.
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


class Community(Database):
    """The community platform."""

    documents = COMMUNITY_DOCUMENTS
    default_name = "community"

    def __init__(self, database: AsyncDatabase[dict[str, Any]], clock: Clock) -> None:
        super().__init__(database, clock)
        connection = self._connection
        self.users = repositories.Users(connection)
        self.spaces = repositories.Spaces(connection)
        self.space_visits = repositories.SpaceVisits(connection)
        self.posts = repositories.Posts(connection)
        self.comments = repositories.Comments(connection)
        self.likes = repositories.Likes(connection)
        self.follows = repositories.Follows(connection)
        self.courses = repositories.Courses(connection)
        self.modules = repositories.Modules(connection)
        self.lessons = repositories.Lessons(connection)
        self.enrollments = repositories.Enrollments(connection)
        self.lesson_progress = repositories.Progress(connection)
        self.events = repositories.Events(connection)
        self.rsvps = repositories.Rsvps(connection)
        self.memberships = repositories.Memberships(connection)
        self.notifications = repositories.Notifications(connection)
        self.conversations = repositories.Conversations(connection)
        self.messages = repositories.Messages(connection)
        self.points = repositories.Points(connection)
        self.gamification_config = repositories.GamificationConfig(connection)
        self.levels = repositories.Levels(connection)
        self.reports = repositories.Reports(connection)
        self.community_settings = repositories.SettingsRepository(connection)


class Stories(Database):
    """The story generator."""

    documents = STORIES_DOCUMENTS
    default_name = "stories"

    def __init__(self, database: AsyncDatabase[dict[str, Any]], clock: Clock) -> None:
        super().__init__(database, clock)
        connection = self._connection
        self.stories = repositories.StoryRepository(connection)
        self.chapters = repositories.Chapters(connection)
        self.scenes = repositories.Scenes(connection)
        self.characters = repositories.Characters(connection)


def _uri(uri: str | None) -> str:
    if uri is not None and not isinstance(uri, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InvalidInputError("uri", "must be a string")
    found = uri or Settings().mongodb_uri
    if not found:
        raise ServerNotFoundError(
            "No MongoDB server is configured.",
            hint="Set MONGODB_URI, give connect() a URI, or start one with datalayer.embedded_server().",
        )
    if not found.startswith(("mongodb://", _SRV)):
        raise InvalidInputError("uri", "must begin with mongodb:// or mongodb+srv://")
    return found


def open_client(uri: str | None = None) -> AsyncMongoClient[dict[str, Any]]:
    """A client of the server at the URI, or at the environment's.

    Raises:
        ServerNotFoundError: There is neither.
        InvalidInputError: It is no URI.
    """
    uri = _uri(uri)
    options: dict[str, Any] = {}
    if "serverselectiontimeoutms" not in uri.lower():
        options["serverSelectionTimeoutMS"] = SERVER_SELECTION_MS
    client = None if _has_stray_credentials(uri) else _client(uri, options)
    if client is None:
        # Outside of the driver's error, of which this one would keep a reference.
        reason = (
            "is no URI that the driver takes; what it says of it is not told, since that may be a part of a password. "
            "A user name, a password and the values of options must be percent-encoded; files that it names must exist"
        )
        raise InvalidInputError("uri", reason)
    return client


def _has_stray_credentials(uri: str) -> bool:
    """Whether the path holds what belongs elsewhere: a password with a slash, or options without a question mark.

    The driver would take it for the name of the database, and what is in front of it for the host. It also takes for a
    socket's path whatever ends as one.
    """
    hosts, _, path = uri.partition("://")[2].partition("?")[0].partition("/")
    names = [unquote(host) for host in hosts.rpartition("@")[2].split(",")]
    if any(name.endswith(".sock") and not name.startswith("/") for name in names):
        return True
    return any(mark in path for mark in "@:=&,") or ("@" in uri and "@" not in hosts)


def _client(uri: str, options: Mapping[str, Any]) -> AsyncMongoClient[dict[str, Any]] | None:
    """The client, if the driver understands the URI. What it says in errors and warnings may quote any part of it."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            client = AsyncMongoClient[dict[str, Any]](uri, **options)
            name = client.get_default_database("default").name
            if uri.startswith(_SRV):
                # The driver reads them when it looks for the hosts: too late to see what it says.
                split_options(uri.partition("?")[2] or "w=1", warn=True)
        except (PyMongoError, ValueError, TypeError, OSError):
            return None
    ignored = [warning for warning in said if issubclass(warning.category, UserWarning)]
    if len(name.encode()) > _LONGEST_NAME or (ignored and uri.startswith(_SRV)):
        return None
    if said:
        warnings.warn("The driver ignores an option of the URI, or takes it for outdated.", stacklevel=2)
    return client


async def _bind_beanie(database: AsyncDatabase[dict[str, Any]], documents: Sequence[type[Document]]) -> None:
    """Let the documents be used as Beanie documents, on this database."""
    initialize: Callable[..., Awaitable[None]] = beanie.init_beanie  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]  # noqa: TID251 - without its indexes
    await initialize(database, document_models=list(documents), skip_indexes=True)


async def _refuse_standalone(database: AsyncDatabase[dict[str, Any]]) -> None:
    hello = await database.command("hello")
    if "setName" not in hello and hello.get("msg") != "isdbgrid":
        raise StandaloneServerError(
            "The server is a standalone one, and transactions need a replica set.",
            hint="Start it with `mongod --replSet rs0` and run `rs.initiate()` once in mongosh; one node is enough.",
        )
