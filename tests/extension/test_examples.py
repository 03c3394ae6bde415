"""Rate limits and webhooks: exact, whoever asks at once, and whatever fails in between."""

import asyncio
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from datalayer.errors import InvalidInputError, OutcomeUnknownError
from datalayer.testing import Factories, FrozenClock, assert_uses_index, count_commands, database_fixture
from examples.extended import App
from tests.documentation.markdown import ROOT

app = database_fixture(App)

TASKS = 32


@pytest.fixture
def datalayer_clock() -> FrozenClock:
    """A time that is not near the end of a minute, or of an hour."""
    return FrozenClock(1_700_000_001_000)


PROGRAM = """
import asyncio, sys
from examples.extended import App

async def main():
    async with App.connect(sys.argv[1], schema="verify", clock=lambda: 1_000_000) as app:
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        tries = [app.rate_limits.allow("key", times=50, seconds=60) for _ in range(40)]
        spaces = [app.handle_once("evt_1", lambda: app.spaces.create(name="Once")) for _ in range(8)]
        print(sum(await asyncio.gather(*tries)), sum(await asyncio.gather(*spaces)), flush=True)

asyncio.run(main())
"""


@pytest.mark.parametrize("times", [1, 5, TASKS])
async def test_a_rate_limit_is_exact(app: App, times: int) -> None:
    """Of 32 tries at once as many are allowed as there may be."""
    tries = [app.rate_limits.allow("key", times=times, seconds=60) for _ in range(TASKS)]
    assert Counter(await asyncio.gather(*tries)) == Counter({True: times, False: TASKS - times})


async def test_a_limit_is_of_a_key_in_a_window(app: App, datalayer_clock: FrozenClock) -> None:
    """Another key, another length and the next window count by themselves."""

    async def allowed(key: str = "key", seconds: int = 60) -> bool:
        return await app.rate_limits.allow(key, times=1, seconds=seconds)

    assert [await allowed(), await allowed(), await allowed("other"), await allowed(seconds=3_600)] == [
        *(True, False),
        *(True, True),
    ]
    datalayer_clock.advance(60_000)
    assert [await allowed(), await allowed()] == [True, False]
    assert await app.rate_limits.forget() == 2
    async with assert_uses_index(app, "by_key_and_window"):
        with count_commands(app) as commands:
            await allowed()
    assert len(commands) == 1
    with pytest.raises(InvalidInputError, match="times"):
        await app.rate_limits.allow("key", times=0, seconds=60)


async def test_an_event_is_handled_once(app: App) -> None:
    """Of 32 deliveries at once one does the work."""
    handled = [app.handle_once("evt_1", lambda: app.spaces.create(name="Once")) for _ in range(TASKS)]
    assert sum(await asyncio.gather(*handled)) == 1
    assert [space.name for space in await app.spaces.list()] == ["Once"]
    assert await app.handle_once("evt_1", lambda: app.spaces.create(name="Twice")) is False
    assert await app.handle_once("evt_2", lambda: app.spaces.create(name="Two")) is True


async def test_an_event_whose_work_failed_is_handled_by_the_next_delivery(app: App) -> None:
    """A failure in the middle leaves nothing behind, neither of the work nor of the event."""
    make = Factories(app)

    async def fails() -> None:
        await make.space(name="Half")
        raise ValueError("the video is not there yet")

    with pytest.raises(ValueError, match="not there yet"):
        await app.handle_once("evt_1", fails)
    assert await app.spaces.list() == []
    assert await app.handle_once("evt_1", lambda: make.space(name="Whole")) is True
    assert [space.name for space in await app.spaces.list()] == ["Whole"]


async def test_an_event_is_handled_once_where_a_delivery_is_cancelled(app: App) -> None:
    """In the middle of its work; the one that waits for it does the work then."""
    begun, never = asyncio.Event(), asyncio.Event()

    async def hangs() -> None:
        await app.spaces.create(name="Half")
        begun.set()
        await never.wait()

    first = asyncio.create_task(app.handle_once("evt_1", hangs))
    await begun.wait()
    second = asyncio.create_task(app.handle_once("evt_1", lambda: app.spaces.create(name="Whole")))
    first.cancel()
    with pytest.raises((asyncio.CancelledError, OutcomeUnknownError)):
        await first
    assert await second is True
    assert [space.name for space in await app.spaces.list()] == ["Whole"]


@pytest.mark.thorough
async def test_both_are_exact_across_processes(app: App, datalayer_uri: str) -> None:
    """Three processes, each with many tasks, begin at the same moment."""
    command = (sys.executable, "-c", PROGRAM, datalayer_uri)
    pipes = {"stdin": asyncio.subprocess.PIPE, "stdout": asyncio.subprocess.PIPE}
    processes = [await asyncio.create_subprocess_exec(*command, cwd=Path(ROOT), **pipes) for _ in range(3)]
    try:
        for process in processes:
            assert process.stdout is not None
            assert await process.stdout.readline() == b"ready\n"
        answers = await asyncio.gather(*(process.communicate(b"\n") for process in processes))
    finally:
        for process in processes:
            if process.returncode is None:
                process.kill()
                await process.wait()
    counts = [tuple(map(int, output.split())) for output, _ in answers]
    assert (sum(allowed for allowed, _ in counts), sum(handled for _, handled in counts)) == (50, 1)
    assert [space.name for space in await app.spaces.list()] == ["Once"]


async def test_old_events_are_forgotten(app: App, datalayer_clock: FrozenClock) -> None:
    await app.handle_once("evt_1", lambda: app.spaces.create(name="Old"))
    datalayer_clock.advance(1)
    await app.handle_once("evt_2", lambda: app.spaces.create(name="New"))
    async with assert_uses_index(app, "by_handledAt"):
        assert await app.webhooks.forget(datalayer_clock()) == 1
    assert await app.webhooks.record("evt_2") is False


@pytest.mark.thorough
def test_the_program_prints_what_the_page_shows() -> None:
    """In a process of its own, with a server of its own: the page has its output."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "examples.extended"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout in (ROOT / "docs/how-to/extend.md").read_text()
