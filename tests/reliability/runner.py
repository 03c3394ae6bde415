"""Processes whose tasks run random transactions, and what the database holds afterwards.

What a transaction writes is noted in a ledger when it ends: all of it if it was acknowledged, nothing if it raised, and
either of the two if it was cancelled or timed out.
"""

import asyncio
import io
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import get_context
from random import Random
from typing import Any

from datalayer import Community
from datalayer.errors import DataLayerError, OutcomeUnknownError
from tests.reliability.composed import COMPOSED_STEPS, STEPS, Attempt, HotDocuments, Member, Step, notify
from tests.reliability.ledger import Ledger
from tests.reliability.load import PATIENCE
from tests.reliability.observed import TOGETHER, observed
from tests.seeding.invariants import violations
from tests.seeding.rows import Data

PROCESSES, TASKS = 3, 4
TIMES = 8
"""How many transactions each task runs."""

MOST_STEPS = 4

CANCELLED_WITHIN = 0.05
"""Seconds until a call is cancelled or times out, at most."""

Call = Callable[[], Coroutine[Any, Any, None]]


@dataclass
class Report:
    """What one process has done.

    Attributes:
        journal: Its ledger's.
        outcomes: How many transactions were `acknowledged`, `undone`, or ended `unknown`.
        problems: What must not happen, one sentence each.
        longest: How many seconds the longest call took.
    """

    journal: list[str] = field(default_factory=list)
    outcomes: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    longest: float = 0.0


class ApplicationError(Exception):
    """The application's own error."""


async def _alone(a: Attempt) -> None:
    await a.random.choice(STEPS)(a)


async def _several(a: Attempt) -> None:
    for step in a.random.choices(COMPOSED_STEPS, k=a.random.randint(1, MOST_STEPS)):
        await step(a)


async def _and_raise(a: Attempt) -> None:
    await _several(a)
    raise ApplicationError


async def _and_catch_after_a_write(a: Attempt) -> None:
    """An error after a write undoes the whole transaction, even if it is caught."""
    await _several(a)

    async def inner() -> None:
        await notify(a)
        raise ApplicationError

    with suppress(ApplicationError):
        await a.community.transaction(inner)


async def _and_time_out_inside(a: Attempt) -> None:
    await _several(a)
    async with asyncio.timeout(a.random.uniform(0, CANCELLED_WITHIN)):
        await _several(a)


@dataclass(frozen=True)
class Way:
    """A kind of transaction.

    Attributes:
        work: What it does.
        weight: How often it runs in relation to the others.
        end: The error that it raises and that leaves nothing behind. A `TimeoutError` depends on the timing.
        is_composed: Whether `transaction` is called.
        is_cancelled: Whether it is cancelled or times out from outside.
    """

    work: Step
    weight: int
    end: type[Exception] | None = None
    is_composed: bool = True
    is_cancelled: bool = False


WAYS = (
    Way(_several, 10),
    Way(_alone, 4, is_composed=False),
    Way(_alone, 2, is_composed=False, is_cancelled=True),
    Way(_several, 3, is_cancelled=True),
    Way(_and_raise, 3, ApplicationError),
    Way(_and_catch_after_a_write, 2, DataLayerError),
    Way(_and_time_out_inside, 3, TimeoutError),
)


async def _in_time(call: Call, seconds: float) -> None:
    async with asyncio.timeout(seconds):
        await call()


async def _cancelled(call: Call, seconds: float) -> None:
    task = asyncio.ensure_future(call())
    await asyncio.wait([task], timeout=seconds)
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        raise TimeoutError from None


class Runner:
    """The tasks of one process."""

    def __init__(self, community: Community, hot: HotDocuments, name: str) -> None:
        self._community, self._place, self._name = community, hot, name
        self._journal = io.StringIO()
        self._ledger = Ledger(journal=self._journal)
        self.report = Report()

    async def work(self, tasks: int, times: int) -> Report:
        """Run so many tasks, and so many transactions in each."""
        async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
            for number in range(tasks):
                name, user = f"{self._name}{number}", await self._new_user()
                member = Member(self._community, self._place, name, user)
                group.create_task(self._task(member, times))
        self.report.journal = self._journal.getvalue().splitlines()
        return self.report

    async def _new_user(self) -> Any:
        return (await self._community.users.create(name="Member")).id

    async def _task(self, member: Member, times: int) -> None:
        for number in range(times):
            choice = Random(f"{member.name}-{number}-way")  # noqa: S311
            (way,) = choice.choices(WAYS, [way.weight for way in WAYS])
            begun = time.monotonic()
            outcome = await self._outcome(member, number, way, choice)
            self.report.outcomes[outcome] += 1
            self.report.longest = max(self.report.longest, time.monotonic() - begun)

    async def _outcome(self, member: Member, number: int, way: Way, choice: Random) -> str:
        """Run one transaction, note what it wrote, and return how it ended."""
        attempts: list[Attempt] = []
        patience = choice.uniform(0, CANCELLED_WITHIN)

        async def work() -> None:
            attempts.append(Attempt(member, number))
            await way.work(attempts[-1])

        whole: Call = partial(self._community.transaction, work) if way.is_composed else work
        try:
            await (choice.choice((_in_time, _cancelled))(whole, patience) if way.is_cancelled else whole())
        except (ApplicationError, TimeoutError, DataLayerError) as error:
            # The exact class: an UnavailableError is a DataLayerError too.
            if type(error) is way.end:
                return "undone"
            if not (way.is_cancelled and isinstance(error, TimeoutError)):
                self.report.problems.append(f"{member.name}-{number}, {way.work.__name__}: {error!r}")
            if attempts:
                self._note_unknown(attempts[-1])
            # A request that was being committed may still happen, so this user's data is not written again.
            member.user = await self._new_user()
            return "unknown"
        if way.end is not None and way.end is not TimeoutError:
            self.report.problems.append(f"{member.name}-{number}, {way.work.__name__}: it was committed")
        with self._ledger.changing(attempts[-1].changes):
            member.comments |= attempts[-1].comments
        return "acknowledged"

    def _note_unknown(self, attempt: Attempt) -> None:
        """All of it may have happened, or nothing. The comments that it may have deleted are not used again."""
        with suppress(OutcomeUnknownError), self._ledger.changing(attempt.changes):
            raise OutcomeUnknownError
        for marker in attempt.comments:
            attempt.member.comments.pop(marker, None)


def work(uri: str, hot: HotDocuments, name: str, tasks: int, times: int) -> Report:
    """What a process runs."""

    async def connected() -> Report:
        async with Community.connect(uri, schema="skip") as community:
            return await Runner(community, hot, name).work(tasks, times)

    return asyncio.run(connected())


@dataclass
class Result:
    """What all processes have done.

    Attributes:
        wrong: Where the database differs from the ledgers, and the rules that it violates.
        problems: The calls that failed, and those that should have failed.
        outcomes: How many transactions ended in which way.
        longest: How many seconds the longest call took.
    """

    wrong: list[str]
    problems: list[str]
    outcomes: Counter[str]
    longest: float


async def together(community: Community, uri: str, hot: HotDocuments, name: str, *, tasks: int, times: int) -> Result:
    """Run the processes, with so many tasks in each and so many transactions in each task, and check everything."""
    ledger = Ledger(observed(await _known(community, hot)))
    context = get_context("forkserver")
    # It imports the library once, for all processes.
    context.set_forkserver_preload([__name__])
    loop = asyncio.get_running_loop()
    with ProcessPoolExecutor(PROCESSES, mp_context=context) as pool:
        reports = await asyncio.gather(
            *(loop.run_in_executor(pool, work, uri, hot, f"{name}{n}-", tasks, times) for n in range(PROCESSES))
        )
    for report in reports:
        for line in report.journal:
            ledger.replay(line)
    return Result(
        wrong=ledger.differences(observed(await _known(community, hot))) + await violations(community.database),
        problems=[problem for report in reports for problem in report.problems],
        outcomes=sum((report.outcomes for report in reports), Counter()),
        longest=max(report.longest for report in reports),
    )


async def _known(community: Community, hot: HotDocuments) -> Data:
    """The rows that only one task writes.

    They are without the users, without the likes, follows, answers and enrollments of the hot ones, and without the
    points and notifications that are consequences of other calls: the rules look at those.
    """
    data, shared = await Data.read(community.database), set(hot.users)
    texts = {"points": "referenceId", "notifications": "type"}
    actors = {"likes": "userId", "follows": "followerId", "rsvps": "userId", "enrollments": "userId"}
    own = {table: [row for row in data[table] if row[actor] not in shared] for table, actor in actors.items()}
    told = {table: [row for row in data[table] if row[text].startswith(TOGETHER)] for table, text in texts.items()}
    return Data({**data, **own, **told, "users": []})
