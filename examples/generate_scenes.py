# ruff: noqa: INP001 - a script, and no part of a package
"""A worker that writes the scenes of a story, with a stand-in for the language model.

    python examples/generate_scenes.py

It takes the newest story, or creates one with some scenes, and generates several of its scenes concurrently. Any number
of these workers can run in parallel, and each can be killed at any moment (try `--die-after 5`): its unfinished scenes
are released after `--patience` seconds, and another worker completes the story.
"""

import asyncio
import os
import random
import signal
import sys
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from datalayer import Stories, embedded_server
from datalayer.documents import Scene, Story
from datalayer.engine.settings import Settings
from datalayer.errors import (
    AlreadyGeneratingError,
    DataLayerError,
    InvalidInputError,
    NotFoundError,
    StaleGenerationError,
    UnavailableError,
)
from datalayer.ids import SceneId
from datalayer.repositories.scenes import GenerationTicket
from datalayer.repositories.stories import SceneSummary

ATTEMPTS = 5
"""How many times a worker tries each scene."""

WAITING = ("draft", "error")
ERROR_LENGTH = 2_000
SECOND = 1_000

Tell = Callable[[int, str], None]
"""Receives the number of complete scenes, and a message."""


class ModelError(Exception):
    """The language model did not respond."""


@dataclass(frozen=True)
class Options:
    """The options of the worker."""

    tasks: int
    seconds: float
    failures: float
    patience: float
    die_after: int | None


async def language_model(outline: str, options: Options) -> str:
    """Simulate a language model: return a text after some time, and sometimes fail."""
    await asyncio.sleep(random.uniform(0.5, 1.5) * options.seconds)  # noqa: S311 - no secret
    if random.random() < options.failures:  # noqa: S311
        raise ModelError("The model is overloaded.")
    return "\n\n".join([f"It began like this: {outline}", "Then one thing led to another.", "And so it ended."])


class Worker:
    """Generates the scenes of a story until all are complete or have failed too often."""

    def __init__(self, stories: Stories, story: Story, options: Options, tell: Tell) -> None:
        self._stories = stories
        self._story = story
        self._options = options
        self._tell = tell
        self._attempts = Counter[object]()
        self._complete = 0
        self._written = 0

    async def run(self) -> None:
        """Work in rounds: scenes that failed or were released are retried in the next round."""
        patience = round(self._options.patience * SECOND)
        while True:
            released = await self._stories.scenes.release_stale(patience)
            if released:
                self._tell(self._complete, f"released {released} scenes of runs that died")
            scenes = await self._scenes()
            self._complete = sum(scene.status == "complete" for scene in scenes)
            queue = [scene for scene in scenes if self._is_to_be_written(scene)]
            if queue:
                await self._write_all(queue)
            elif any(scene.status == "generating" for scene in scenes):
                # Another worker has them, or a dead one.
                await asyncio.sleep(self._options.patience / 4)
            else:
                return

    async def _scenes(self) -> list[SceneSummary]:
        tree = await self._stories.stories.tree(self._story.id)
        return [scene for chapter in tree.chapters for scene in chapter.scenes]

    def _is_to_be_written(self, scene: SceneSummary) -> bool:
        return scene.status in WAITING and self._attempts[scene.id] < ATTEMPTS

    async def _write_all(self, scenes: list[SceneSummary]) -> None:
        queue = iter(scenes)
        try:
            async with asyncio.TaskGroup() as tasks:
                for _ in range(self._options.tasks):
                    tasks.create_task(self._write_each(queue))
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from errors

    async def _write_each(self, queue: Iterator[SceneSummary]) -> None:
        for scene in queue:
            self._attempts[scene.id] += 1
            # Another worker may be faster, a scene may be deleted, and a run that took too long is released.
            with suppress(AlreadyGeneratingError, NotFoundError, StaleGenerationError):
                await self._write(scene)

    async def _take(self, id: SceneId) -> GenerationTicket | None:
        """Request the scene, unless another worker has completed it since the round began.

        If another worker completes it between the two calls, this one generates it again, which does no harm. A
        transaction around the calls would prevent that, but a worker that is killed inside a transaction leaves its
        documents locked for a minute.
        """
        if (await self._stories.scenes.get(id)).status not in WAITING:
            return None
        return await self._stories.scenes.request_generation(id)

    async def _write(self, scene: SceneSummary) -> None:
        scenes = self._stories.scenes
        ticket = await self._take(scene.id)
        if ticket is None:
            return
        try:
            prose = await language_model(ticket.scene.outline, self._options)
            # Also raises if the database would reject the text.
            done = await settled(lambda: scenes.complete_generation(ticket.token, prose))
        except (ModelError, InvalidInputError) as error:
            message = str(error)[:ERROR_LENGTH]
            await settled(lambda: scenes.fail_generation(ticket.token, message))
            self._tell(self._complete, f"failed   {scene.outline}: {message}")
        except asyncio.CancelledError:
            # Ctrl-C: fail the run, so that nobody has to wait until the scene is released.
            with suppress(DataLayerError):
                await scenes.fail_generation(ticket.token, "The worker was stopped.")
            raise
        else:
            self._count(done)

    def _count(self, scene: Scene) -> None:
        self._complete += 1
        self._written += 1
        self._tell(self._complete, f"complete {scene.outline}")
        if self._written == self._options.die_after:
            os.kill(os.getpid(), signal.SIGKILL)


async def settled(hand_in: Callable[[], Awaitable[Scene]]) -> Scene:
    """Submit a result, and retry while the server is unavailable. It counts only once: each token is used only once.

    A `StaleGenerationError` on a retry may mean that an earlier attempt succeeded.
    """
    for pause in (1, 2, 4, 8):
        with suppress(UnavailableError):
            return await hand_in()
        await asyncio.sleep(pause)
    return await hand_in()


@contextmanager
def shown(total: int) -> Generator[Tell]:
    """Show a progress bar on a terminal, otherwise print a line for each scene."""
    console = Console()
    if not console.is_terminal:
        yield lambda complete, text: print(f"{complete:>4}/{total} {text}", flush=True)
        return
    columns = (TextColumn("{task.fields[text]:<40.40}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("scenes", total=total, text="")
        yield lambda complete, text: bar.update(task, completed=complete, text=text)


async def newest_story(stories: Stories, scenes: int) -> Story:
    """Return the newest story, or create one with this many draft scenes."""
    found = (await stories.stories.list(limit=1)).items
    if found:
        return found[0]
    story = await stories.stories.create("The lighthouse")
    chapters = await stories.chapters.in_story(story.id)
    for number in range(scenes):
        await stories.scenes.create(chapters[number % len(chapters)].id, f"What happens in scene {number + 1}")
    return story


@asynccontextmanager
async def server(uri: str | None) -> AsyncGenerator[str]:
    """Yield the given URI, otherwise that of the environment, otherwise that of an embedded server with .data/."""
    if given := uri or Settings().mongodb_uri:
        yield given
        return
    async with embedded_server(Path(".data")) as own:
        yield own


async def work(uri: str | None, scenes: int, options: Options) -> bool:
    """Run a worker. Return whether the story is complete."""
    async with server(uri) as place, Stories.connect(place) as stories:
        story = await newest_story(stories, scenes)
        total = sum((await stories.scenes.status_counts(story.id)).values())
        with shown(total) as tell:
            await Worker(stories, story, options, tell).run()
        counts = await stories.scenes.status_counts(story.id)
        click.echo(f"{story.title}: " + ", ".join(f"{count} {status}" for status, count in counts.items()))
        return counts["complete"] == sum(counts.values())


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--uri", help="The URI of the stories.  [default: MONGODB_URI, or an embedded server with .data/]")
@click.option("--scenes", default=40, show_default=True, help="The number of scenes of a new story.")
@click.option("--tasks", default=4, show_default=True, help="The number of scenes generated concurrently.")
@click.option("--seconds", default=0.5, show_default=True, help="The average time that the model takes for a scene.")
@click.option("--failures", default=0.1, show_default=True, help="The share of requests to the model that fail.")
@click.option("--patience", default=30.0, show_default=True, help="The seconds after which a run is considered dead.")
@click.option("--die-after", type=int, help="Kill the worker (SIGKILL) after this many scenes, with others unfinished.")
def main(
    *,
    uri: str | None,
    scenes: int,
    tasks: int,
    seconds: float,
    failures: float,
    patience: float,
    die_after: int | None,
) -> None:
    """Generate the scenes of the newest story."""
    options = Options(tasks, seconds, failures, patience, die_after)
    try:
        complete = asyncio.run(work(uri, scenes, options))
    except DataLayerError as error:
        raise click.ClickException(str(error)) from error
    sys.exit(not complete)


if __name__ == "__main__":
    main()
