"""The turns of a host: processes that wait for each other, and processes that are killed or stopped meanwhile."""

import asyncio
import os
import signal
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeAlias

import pytest
from bson import ObjectId

from datalayer import Community
from datalayer.engine import host_turns
from datalayer.engine.held_turns import HeldTurns
from datalayer.engine.host_turns import HostTurns
from datalayer.engine.turns import Key, Turns
from tests.community.world import person, post

KEY: Key = ("posts", ObjectId())
OTHER: Key = ("posts", ObjectId())

_HOLDER = """
import fcntl, sys
with open(sys.argv[1], "r+") as file:
    fcntl.lockf(file, fcntl.LOCK_EX, 1, int(sys.argv[2]))
    print("has it", flush=True)
    sys.stdin.readline()
"""

_LIKES = """
import asyncio, sys
from bson import ObjectId
from datalayer import Community

async def main():
    async with Community.connect(sys.argv[1], schema="skip") as community:
        post, *users = map(ObjectId, sys.argv[2:])
        for user in users:
            async def work():
                await community.likes.like(user, "post", post)
            await community.transaction(work)

asyncio.run(main())
"""

Holder: TypeAlias = Callable[[Key], Awaitable[Process]]


@pytest.fixture
def turns(tmp_path: Path) -> HostTurns:
    """Turns in a file of the test's own."""
    return HostTurns("community", tmp_path)


@pytest.fixture
async def holder(turns: HostTurns, tmp_path: Path) -> AsyncGenerator[Holder]:
    """Starts another process that has a turn until it reads a line."""
    started: list[Process] = []

    async def start(key: Key) -> Process:
        # Makes the file.
        assert turns.take(turns.offset(OTHER))
        file = tmp_path / f"datalayer-{os.getuid()}" / "turns"
        arguments = ("-c", _HOLDER, str(file), str(turns.offset(key)))
        started.append(
            process := await asyncio.create_subprocess_exec(sys.executable, *arguments, stdin=PIPE, stdout=PIPE)
        )
        assert process.stdout is not None
        await process.stdout.readline()
        return process

    yield start
    for process in started:
        if process.returncode is None:
            process.kill()
        await process.communicate()


@asynccontextmanager
async def waiting(turns: HostTurns, key: Key) -> AsyncGenerator[asyncio.Task[bool]]:
    """A task that waits for the turn."""
    task = asyncio.create_task(turns.wait(key, turns.offset(key)))
    await asyncio.sleep(0.02)
    assert not task.done()
    yield task


async def test_a_turn_is_waited_for(turns: HostTurns, holder: Holder) -> None:
    """It comes when the other process ends it; until then, and for some time, the document counts as contended."""
    process = await holder(KEY)
    assert not turns.take(turns.offset(KEY))
    async with waiting(turns, KEY) as task:
        await process.communicate(b"\n")
        assert await task
    assert turns.contended.among([KEY, OTHER]) == [KEY]


@pytest.mark.parametrize("ended", [signal.SIGKILL, signal.SIGTERM])
async def test_the_turn_of_a_process_that_dies_is_free(turns: HostTurns, holder: Holder, ended: signal.Signals) -> None:
    process = await holder(KEY)
    async with waiting(turns, KEY) as task:
        process.send_signal(ended)
        assert await task


async def test_nobody_waits_long_for_a_process_that_is_stopped(
    turns: HostTurns, holder: Holder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first one gives up, later ones do not even begin; and when it goes on, the turn is free for everybody."""
    monkeypatch.setattr(host_turns, "LONGEST_WAIT", 0.05)
    process = await holder(KEY)
    process.send_signal(signal.SIGSTOP)
    assert not await turns.wait(KEY, turns.offset(KEY))
    began = time.monotonic()
    assert not await turns.wait(KEY, turns.offset(KEY))
    assert time.monotonic() - began < 0.05
    process.send_signal(signal.SIGCONT)
    await process.communicate(b"\n")
    await _is_free_for_others(turns, holder)


async def test_a_cancelled_wait_leaves_nothing_behind(turns: HostTurns, holder: Holder) -> None:
    process = await holder(KEY)
    async with waiting(turns, KEY) as task:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    await process.communicate(b"\n")
    await _is_free_for_others(turns, holder)


async def test_a_wait_that_outlives_its_event_loop_leaves_nothing_behind(turns: HostTurns, holder: Holder) -> None:
    """The thread that gets the lock then has nobody to tell."""
    process = await holder(KEY)

    def in_a_loop_that_ends() -> None:
        async def give_up() -> None:
            task = asyncio.create_task(turns.wait(KEY, turns.offset(KEY)))
            await asyncio.sleep(0.02)
            task.cancel()

        asyncio.run(give_up())

    await asyncio.to_thread(in_a_loop_that_ends)
    await process.communicate(b"\n")
    await _is_free_for_others(turns, holder)


async def _is_free_for_others(turns: HostTurns, holder: Holder) -> None:
    async with asyncio.timeout(5):
        await holder(KEY)
    assert not turns.take(turns.offset(KEY))


async def test_who_has_just_had_a_turn_gets_in_line(turns: HostTurns) -> None:
    """Else it would always be faster than a process that has to wake up first."""
    offset = turns.offset(KEY)
    assert turns.take(offset)
    turns.give_back(offset)
    assert not turns.take(offset)
    assert await turns.wait(KEY, offset)
    # It had nobody to wait for.
    assert not turns.contended.among([KEY])


@pytest.mark.parametrize("folder", ["missing/folder", "file", "link"])
async def test_without_a_file_nobody_waits(tmp_path: Path, folder: str) -> None:
    """There are no turns where their folder cannot be made, or is not the user's own."""
    (tmp_path / "file").write_text("")
    (tmp_path / "link").mkdir()
    (tmp_path / "link" / f"datalayer-{os.getuid()}").symlink_to(tmp_path)
    nowhere = HostTurns("community", tmp_path / folder)
    nowhere.contended.note([KEY])
    held = HeldTurns(Turns(), nowhere)
    async with asyncio.timeout(0.5):
        await held.wait([KEY])
    assert held.keys == {KEY}
    assert not held.missing([KEY])
    held.give_back()


async def test_two_transactions_never_wait_in_a_circle(turns: HostTurns, holder: Holder) -> None:
    """A turn that sorts before one that another process has is given back, unless it has to be waited for itself."""
    first, second = sorted([KEY, OTHER])
    process = await holder(first)
    turns.give_back(turns.offset(OTHER))
    turns.contended.note([first, second])
    of_process = Turns()
    held = HeldTurns(of_process, turns)
    await held.wait([second])
    waits = asyncio.create_task(held.wait([first]))
    await asyncio.sleep(0.02)
    assert not waits.done()
    # While it waits for the first one, others may have the second.
    async with asyncio.timeout(5):
        other = HeldTurns(of_process, turns)
        await other.wait([second])
        other.give_back()
        await process.communicate(b"\n")
        await waits
    assert held.keys == {first, second}


async def test_processes_seldom_conflict(community: Community, server_uri: str) -> None:
    """Two that compose transactions about one post conflict until they know of each other, and hardly after that."""
    where = await post(community)
    uri = server_uri.replace("/?", f"/{community.database.name}?")
    before = await _conflicts(community)
    users = [[(await person(community)).id for _ in range(40)] for _ in range(2)]
    processes = [
        await asyncio.create_subprocess_exec(sys.executable, "-c", _LIKES, uri, str(where.id), *map(str, some))
        for some in users
    ]
    assert [await process.wait() for process in processes] == [0, 0]
    assert (await community.posts.get(where.id)).like_count == 80
    assert await _conflicts(community) - before < 20


async def _conflicts(community: Community) -> int:
    status = await community.database.client.admin.command("serverStatus")
    return int(status["metrics"]["operation"]["writeConflicts"])
