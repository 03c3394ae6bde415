"""An open database, as the repositories use it."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeAlias, TypeVar

import pymongo
from bson.codec_options import CodecOptions
from pymongo import ReadPreference, WriteConcern
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.read_concern import ReadConcern

from datalayer.engine.clock import Clock
from datalayer.engine.document import Document
from datalayer.engine.errors import ConcurrentTransactionError, DataLayerError
from datalayer.engine.transactions import TRANSACTION_SECONDS, attempt, current_transaction

T = TypeVar("T")
Collection: TypeAlias = AsyncCollection[dict[str, Any]]

# Asked for explicitly: a URI may ask for less, and then an acknowledged write could be lost.
_MAJORITY = WriteConcern("majority")
_SNAPSHOT = ReadConcern("snapshot")


class Connection:
    """A database handle with the guarantees that the repositories rely on, and the clock.

    Whatever the URI says: writes are acknowledged by a majority, reads come from the primary and so see them.
    """

    def __init__(self, database: AsyncDatabase[dict[str, Any]], clock: Clock) -> None:
        self.database: AsyncDatabase[dict[str, Any]] = database.with_options(
            codec_options=CodecOptions[dict[str, Any]](),
            read_preference=ReadPreference.PRIMARY,
            write_concern=_MAJORITY,
            read_concern=ReadConcern(),
        )
        # A transaction has concerns of its own; with a bound session the driver would send the collection's as well.
        self._in_transaction = self.database.with_options(write_concern=WriteConcern())
        self.now = clock
        self._collections: dict[tuple[str, bool], Collection] = {}

    def collection(self, document: type[Document]) -> Collection:
        """The document's collection; operations on it belong to the transaction that is open, if one is.

        Raises:
            ConcurrentTransactionError: This task did not open the transaction that it would write to.
        """
        name, in_transaction = document.Settings.name, self.transaction_is_open()
        collection = self._collections.get((name, in_transaction))
        if collection is None:
            collection = (self._in_transaction if in_transaction else self.database)[name]
            self._collections[name, in_transaction] = collection
        return collection

    def transaction_is_open(self) -> bool:
        """Whether what the running task does belongs to a transaction; refused where that would go wrong."""
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
            raise DataLayerError(
                "The transaction was undone by an error inside it, and nothing more can be done in it.",
                hint="Let the error leave the work that was given to `transaction`.",
            ) from transaction.failure
        return True

    @asynccontextmanager
    async def snapshot(self) -> AsyncGenerator[None]:
        """What is read inside is the state of one moment, acknowledged by a majority; it costs no round trip.

        A query outside of a snapshot may pause, and go on after a change: half of it before, half of it after. Inside a
        transaction there is a snapshot already.
        """
        if self.transaction_is_open():
            yield
            return
        async with self.database.client.start_session(snapshot=True) as session, session.bind():
            yield

    async def transaction(self, work: Callable[[], Awaitable[T]]) -> T:
        """Run the work in a transaction, or as a part of the one that is open, and give its result.

        The transaction reads one snapshot and is committed by a majority. It is tried again as a whole, so the work may
        run several times.
        """
        if self.transaction_is_open():
            return await work()
        with pymongo.timeout(TRANSACTION_SECONDS):
            async with self.database.client.start_session() as session, session.bind():
                return await session.with_transaction(
                    lambda session: attempt(session, self._in_transaction, work),
                    read_concern=_SNAPSHOT,
                    write_concern=_MAJORITY,
                )
