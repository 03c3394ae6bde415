"""The example's worker, as it is called; and killed."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest
from pymongo import AsyncMongoClient

from datalayer import Stories
from datalayer.engine.clock import system_clock
from tests.seeding.invariants import violations

ROOT = Path(__file__).parents[2]


async def worker(uri: str, *arguments: str) -> tuple[int | None, str]:
    """Run it, and give its exit status and what it printed."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(ROOT / "examples" / "generate_scenes.py"), "--uri", uri, "--scenes", "20"),
        *("--seconds", "0.03", "--patience", "0.4", *arguments),
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    return process.returncode, output.decode()


@pytest.mark.thorough
async def test_a_killed_worker_is_followed_by_others_that_complete_the_story(
    server_uri: str, client: AsyncMongoClient
) -> None:
    """Two of them at once, with failures on the way."""
    uri = server_uri.replace("/?", "/storiesexample?")
    status, output = await worker(uri, "--die-after", "6", "--seconds", "0.1", "--failures", "0")
    assert (status, output.count(" complete ")) == (-signal.SIGKILL, 6)
    stories = Stories(client["storiesexample"], system_clock)
    (story,) = (await stories.stories.list()).items
    counts = await stories.scenes.status_counts(story.id)
    # It had four in hand; the results of the others may have arrived before the kill did.
    assert counts["complete"] in range(6, 10)
    assert counts["generating"] > 0
    outputs = await asyncio.gather(worker(uri, "--failures", "0.05"), worker(uri, "--failures", "0.05"))
    assert [status for status, _ in outputs] == [0, 0], outputs
    text = "".join(output for _, output in outputs)
    assert text.count(" complete ") >= 20 - counts["complete"]
    assert "released" in text
    assert "\x1b" not in text
    assert (await stories.scenes.status_counts(story.id))["complete"] == 20
    tree = await stories.stories.tree(story.id)
    assert all(scene.word_count for node in tree.chapters for scene in node.scenes)
    assert await violations(stories.database) == []
    await client.drop_database("storiesexample")


async def test_a_model_that_always_fails(server_uri: str, client: AsyncMongoClient) -> None:
    """Each scene is tried some times, and the worker says that the story is not complete."""
    uri = server_uri.replace("/?", "/storiesfailing?")
    status, output = await worker(uri, "--failures", "1", "--scenes", "2")
    assert (status, output.count("The model is overloaded.")) == (1, 10)
    assert "2 error" in output
    await client.drop_database("storiesfailing")
