"""Group commit: concurrent requests share one transaction."""

import asyncio
import copy
from collections.abc import Awaitable, Callable, Hashable, Sequence
from contextvars import Context
from typing import Generic, TypeAlias, TypeVar

from datalayer.engine.connection import Connection
from datalayer.engine.driver import time_left
from datalayer.engine.errors import DataLayerError, OutcomeUnknownError, UnavailableError
from datalayer.engine.shutdown import closed
from datalayer.engine.snapshots import refuse_in_snapshot
from datalayer.engine.turns import Key

K = TypeVar("K", bound=Hashable)
R = TypeVar("R")
T = TypeVar("T")

_Request: TypeAlias = tuple[R, asyncio.Future[T]]

MAX_GROUP = 500
"""The maximum number of requests in one commit: a transaction should stay short."""


class GroupCommit(Generic[K, R, T]):
    """Commits concurrent requests for one key in one transaction.

    Transactions that write to the same document conflict, and each retry costs more than the work. So the first request
    for a key is committed immediately. Requests that arrive in the meantime wait, and share the next commit.

    Args:
        connection: The connection that runs the transactions.
        apply: Applies the requests of one key in the open transaction. Returns a result or an error for each request,
            in order. If it raises an error, all requests fail with it.
        writes: Returns the documents that the requests of a key write, and that other methods may write too.
    """

    def __init__(
        self,
        connection: Connection,
        apply: Callable[[K, Sequence[R]], Awaitable[Sequence[T | Exception]]],
        writes: Callable[[K], Sequence[Key]],
    ) -> None:
        self._connection = connection
        self._apply = apply
        self._writes = writes
        self._waiting: dict[K, list[_Request[R, T]]] = {}
        self._workers: set[asyncio.Task[None]] = set()

    async def submit(self, key: K, request: R) -> T:
        """Apply the request and return its result: in a commit shared with others, or in the open transaction.

        If the caller is cancelled, a request that is still waiting is withdrawn; one that is being committed may still
        take effect. The same holds if the deadline of `pymongo.timeout` passes. Other callers are not affected.

        Raises:
            UnavailableError: The deadline passed before the request was started.
            OutcomeUnknownError: The deadline passed before the commit was confirmed.
        """
        refuse_in_snapshot()
        if self._connection.transaction_is_open():
            await self._connection.take_turns(self._writes(key))
            (answer,) = await self._apply(key, [request])
            if isinstance(answer, Exception):
                raise answer
            return answer
        left = time_left()
        if left is not None and left <= 0:
            raise _too_late()
        result: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        if key in self._waiting:
            self._waiting[key].append((request, result))
        else:
            self._waiting[key] = [(request, result)]
            # In a context of its own: the first caller's deadline and cancellation are not the others'.
            worker = asyncio.get_running_loop().create_task(self._work(key), context=Context())
            self._workers.add(worker)
            worker.add_done_callback(self._workers.discard)
        return await self._answer(key, result, left)

    async def _answer(self, key: K, result: asyncio.Future[T], seconds: float | None) -> T:
        """Wait for the result of a request, up to this many seconds."""
        if seconds is None:
            return await result
        limit = asyncio.timeout(seconds)
        try:
            async with limit:
                return await result
        except TimeoutError as error:
            if not limit.expired():
                raise
            if any(waiting is result for _, waiting in self._waiting.get(key, ())):
                raise _too_late() from error
            raise OutcomeUnknownError("The time was over before the server confirmed the change.") from error

    async def _work(self, key: K) -> None:
        """Commit groups until no request is waiting."""
        group: list[_Request[R, T]] = []
        failure: Exception | None = None
        try:
            async with self._connection.under_way():
                while self._waiting[key]:
                    await self._commit(key, group)
                    group.clear()
        except DataLayerError as error:
            # The database is being closed.
            failure = error
        finally:
            # Nobody is left, unless the database or the event loop is being closed.
            waiting = self._waiting.pop(key)
            if failure is None:
                for _, result in (*group, *waiting):
                    result.cancel()
            else:
                for _, result in group:
                    _settle(result, _copied(failure))
                for _, result in waiting:
                    _settle(result, closed())

    async def _commit(self, key: K, group: list[_Request[R, T]]) -> None:
        """Commit a group of the waiting requests, and set the result of each."""

        async def apply() -> Sequence[T | Exception]:
            # Who came while the group waited for its turn, or for another attempt, joins it.
            self._fill(key, group)
            answers = await self._apply(key, [request for request, _ in group]) if group else ()
            if len(answers) == 1 and isinstance(answers[0], Exception):
                # Alone: nothing is committed for a refusal.
                raise answers[0]
            return answers

        try:
            answers = await self._connection.transaction(apply, writes=self._writes(key))
        except Exception as error:  # noqa: BLE001 - it is the callers' error, not this task's
            if not group:
                # It never had its turn.
                self._fill(key, group)
            answers = [error, *(_copied(error) for _ in group[1:])]
        for (_, result), answer in zip(group, answers, strict=True):
            _settle(result, answer)

    def _fill(self, key: K, group: list[_Request[R, T]]) -> None:
        """Add waiting requests to the group, and remove withdrawn ones."""
        waiting = [item for item in (*group, *self._waiting[key]) if not item[1].done()]
        group[:], self._waiting[key] = waiting[:MAX_GROUP], waiting[MAX_GROUP:]


def _too_late() -> UnavailableError:
    return UnavailableError("The time was over before the change was begun.")


def _copied(error: Exception) -> Exception:
    """Return a copy of the error for another caller: raising an error adds to its traceback."""
    try:
        copied = copy.copy(error)
    except Exception:  # noqa: BLE001 - a class whose arguments are not those of its `__init__`
        return error
    copied.__cause__ = error.__cause__
    return copied


def _settle(result: asyncio.Future[T], answer: T | Exception) -> None:
    if result.done():
        return
    if isinstance(answer, Exception):
        result.set_exception(answer)
    else:
        result.set_result(answer)
