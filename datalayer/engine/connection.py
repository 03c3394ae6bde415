"""The database connection that repositories use."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from itertools import groupby
from operator import itemgetter
from typing import Any, TypeAlias, TypeVar, cast

import pymongo
from bson.codec_options import CodecOptions, DatetimeConversion
from pymongo import ReadPreference, WriteConcern
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.read_concern import ReadConcern

from datalayer.engine.clock import Clock
from datalayer.engine.collection import LOCK, RecordingCollection
from datalayer.engine.document import Document, collection_classes
from datalayer.engine.errors import (
    ConcurrentTransactionError,
    DataLayerError,
    InvalidDefinitionError,
    InvalidInputError,
)
from datalayer.engine.fields import MAX_INTEGER
from datalayer.engine.retries import Retries
from datalayer.engine.shutdown import Shutdown, closed
from datalayer.engine.snapshots import Snapshot, check_snapshot, refuse_in_snapshot, snapshot_is_open
from datalayer.engine.transactions import TRANSACTION_SECONDS, AllOrNothing, current_transaction, undone
from datalayer.engine.turns import Key

D = TypeVar("D", bound=Document)
T = TypeVar("T")
Collection: TypeAlias = AsyncCollection[dict[str, Any]]

Owner: TypeAlias = tuple[type[Document], str]
"""What documents are removed with, and the field that points there."""

# Asked for explicitly: a URI may ask for less, and then an acknowledged write could be lost.
_MAJORITY = WriteConcern("majority")
_DURABLE = ReadConcern("majority")


class Connection:
    """A database handle with the guarantees that repositories rely on, and the clock.

    Regardless of the URI, writes are acknowledged by a majority, and reads come from the primary and so see them.
    """

    def __init__(
        self,
        database: AsyncDatabase[dict[str, Any]],
        clock: Clock,
        documents: Sequence[type[Document]] = (),
    ) -> None:
        """Look at the documents of the product; the other arguments are those of `Database`."""
        self.database: AsyncDatabase[dict[str, Any]] = database.with_options(
            # A time beyond the year 9999 is no reason to refuse all documents that are read with it.
            codec_options=CodecOptions[dict[str, Any]](datetime_conversion=DatetimeConversion.DATETIME_AUTO),
            read_preference=ReadPreference.PRIMARY,
            write_concern=_MAJORITY,
            read_concern=ReadConcern(),
        )
        # A transaction has concerns of its own; with a bound session the driver would send the collection's as well.
        self._in_transaction = self.database.with_options(write_concern=WriteConcern())
        self._durable = self.database.with_options(read_concern=_DURABLE)
        self._clock = clock
        self._classes = {base: document for document in documents for base in collection_classes(document)}
        self._owners: dict[type[Document], Owner | None] = {}
        self._collections: dict[tuple[str, bool, bool], Collection] = {}
        self._lockable: dict[str, type[Document]] = {}
        self._retries = Retries(self._in_transaction, self._lock)
        self._shutdown = Shutdown()
        self._loop: asyncio.AbstractEventLoop | None = None

    def class_of(self, document: type[D]) -> type[D]:
        """Return the class of the documents of a collection here: the one that a product extends it with, or itself."""
        return cast("type[D]", self._classes.get(document, document))

    def require(self, document: type[Document], wanted_by: str) -> None:
        """Make sure that a class is one of the product's documents.

        Raises:
            InvalidDefinitionError: It is not.
        """
        if self._classes and self._classes.get(document) is None:
            message = f"{wanted_by}: {document.__name__} is not among the documents of the product."
            hint = f"Add it: `documents = Community.extended({document.__name__})`, before the database is opened."
            raise InvalidDefinitionError(message, hint=hint)

    def note_owner(self, document: type[Document], owner: Owner | None) -> None:
        """Note what the documents of a collection are removed with."""
        self._owners[document] = owner

    def owner_of(self, document: type[Document]) -> Owner | None:
        """Return what the documents of a collection are removed with, as their repository says."""
        return self._owners.get(document)

    def now(self) -> int:
        """Return the clock's time in Unix milliseconds.

        Raises:
            InvalidInputError: The clock returned something else.
        """
        now = self._clock()
        if type(now) is not int or not 0 <= now <= MAX_INTEGER:
            raise InvalidInputError("clock", f"must return Unix milliseconds as an int, not {_described(now)}")
        return now

    def collection(self, document: type[Document], *, durable: bool = False) -> Collection:
        """Return the document's collection. Operations on it join the open transaction, if there is one.

        Args:
            document: The document class.
            durable: Read only data that a majority has acknowledged and no failover can roll back. A method that finds
                its change already made must read this way before it returns: whoever made the change may still be
                waiting for the majority. Transactions do not need it: their commit waits until a majority has what
                they read.

        Raises:
            ConcurrentTransactionError: The open transaction belongs to another task.
        """
        name, in_transaction = document.Settings.name, self.transaction_is_open()
        collection = self._collections.get((name, in_transaction, durable))
        if collection is None:
            database = self._in_transaction if in_transaction else self._durable if durable else self.database
            # The memory backend has a database of its own, whose collections do the same.
            is_server = isinstance(database, AsyncDatabase)  # pyright: ignore[reportUnnecessaryIsInstance]
            collection = RecordingCollection(database, name) if is_server else database[name]
            self._collections[name, in_transaction, durable] = collection
            if "revision" in document.model_fields:
                self._lockable[name] = document
        return collection

    def transaction_is_open(self) -> bool:
        """Return whether the current task has an open transaction.

        Raises:
            DatabaseClosedError: The database is closed.
            ConcurrentTransactionError: The transaction belongs to another task, or to another connection.
            DataLayerError: The transaction is doomed, or the database belongs to another event loop.
        """
        if self._shutdown.is_over:
            raise closed()
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            if self._loop is not None:
                raise DataLayerError(
                    "This database was opened in another event loop.", hint="Open one in each loop that uses it."
                )
            self._loop = loop
        check_snapshot(self.database.client)
        transaction = current_transaction()
        if transaction is None:
            return False
        if transaction.task is not asyncio.current_task():
            raise ConcurrentTransactionError(
                "This task was started inside a transaction of another task"
                + (", which is over." if transaction.over else "."),
                hint="Await repository calls in turn inside a transaction; start tasks outside of it. "
                "`asyncio.wait_for` is a task in Python 3.11; `asyncio.timeout` is not.",
            )
        if transaction.session.client is not self.database.client:
            raise ConcurrentTransactionError(
                "A transaction of another connection is open: one cannot span two clients."
            )
        if transaction.failure is not None:
            raise undone(transaction.failure) from transaction.failure
        return True

    def under_way(self) -> AbstractAsyncContextManager[None]:
        """Return a context manager for a block that `close` waits for."""
        return self._shutdown.under_way()

    async def close(self) -> None:
        """Wait for running transactions, and reject every later operation."""
        await self._shutdown.finish()

    @asynccontextmanager
    async def snapshot(self) -> AsyncGenerator[None]:
        """Run all reads inside the block on one snapshot, acknowledged by a majority. It costs no round trip.

        Outside of a snapshot, a query may yield to a write, and then return some documents from before it and some from
        after it. A transaction, and an outer snapshot, already read from a snapshot.
        """
        if self.transaction_is_open() or snapshot_is_open():
            yield
            return
        async with self.database.client.start_session(snapshot=True) as session, session.bind():
            with Snapshot(self.database.client):
                yield

    async def transaction(
        self, work: Callable[[], Awaitable[T]], *, writes: Sequence[Key] = (), varies: bool = False
    ) -> T:
        """Run the work in a transaction, or as part of the open one, and return its result.

        The transaction reads one snapshot and is committed by a majority. It is retried as a whole, so the work may run
        several times. Inside an open transaction it cannot be rolled back on its own: an error that leaves the work
        after a write dooms the whole transaction.

        Transactions of this process that write the same document take turns. A transaction waits for its turns before
        its first statement, so name the documents that the work writes, if they are known.

        Args:
            work: The work to run.
            writes: Documents that the work will write, and that other transactions may write too.
            varies: Pass `True` if the work writes different documents each time it runs.
        """
        refuse_in_snapshot()
        if self.transaction_is_open():
            with AllOrNothing():
                await self.take_turns(writes)
                return await work()
        async with self.under_way():
            with pymongo.timeout(TRANSACTION_SECONDS):
                async with self.database.client.start_session() as session, session.bind():
                    return await self._retries.run(session, work, writes, varies=varies)

    async def take_turns(self, writes: Sequence[Key]) -> None:
        """Take the turns of documents in the open transaction.

        Raises:
            TurnTakenError: Another task has one of the turns. The transaction is retried.
        """
        transaction = current_transaction()
        if transaction is not None:
            await transaction.take_turns(writes)

    @property
    def handed_over(self) -> int:
        """The number of turns that transactions of this process have handed over to waiting ones."""
        return self._retries.turns.handed_over

    async def _lock(self, keys: Sequence[Key]) -> None:
        for name, group in groupby(keys, key=itemgetter(0)):
            if name in self._lockable:
                ids = [id for _, id in group]
                await self.collection(self._lockable[name]).update_many({"_id": {"$in": ids}}, LOCK)


def _described(value: object) -> str:
    return "a number out of range" if type(value) is int else type(value).__name__
