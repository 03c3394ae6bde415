"""The generation against a model: whatever is done at once, some order of doing it in turn explains all of it."""

import asyncio
import copy
import itertools
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from bson import ObjectId
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from datalayer import Stories
from datalayer.documents import Chapter, Scene
from datalayer.engine.boundary import UNSET
from datalayer.errors import DataLayerError
from datalayer.ids import GenerationToken, SceneId
from datalayer.repositories.scenes import GenerationTicket
from tests.seeding.invariants import violations
from tests.stories.world import chapter

T = TypeVar("T")

MOST_SCENES = 4


@dataclass
class SceneModel:
    """What a scene should be. Runs are known by a number."""

    id: SceneId
    outline: str
    status: str = "draft"
    prose: str | None = None
    error: bool = False
    regenerations: int = 0
    run: int | None = None
    started: int | None = None

    def end(self, status: str) -> None:
        """The run is over."""
        self.status, self.error, self.run, self.started = status, status == "error", None, None


@dataclass(frozen=True)
class Step:
    """Something to be done to a scene; `run` is that of a request, or whose token is given."""

    kind: str
    text: str | None = None
    run: int = 0
    number: int = 0


@dataclass
class ChapterModel:
    """The scenes of a chapter in order, and the time."""

    scenes: list[SceneModel] = field(default_factory=list)
    now: int = 1_000

    def do(self, id: SceneId, step: Step) -> object:
        """Do the step, and say how it ends: a value, or the code of an error."""
        if step.kind == "release":
            stale = [
                scene for scene in self.scenes if scene.started is not None and scene.started < self.now - step.number
            ]
            for scene in stale:
                scene.end("error")
            return len(stale)
        if step.kind in ("complete", "fail"):
            return self._finish(step)
        found = next((scene for scene in self.scenes if scene.id == id), None)
        return "not_found" if found is None else getattr(self, f"_{step.kind}")(found, step)

    def _finish(self, step: Step) -> object:
        scene = next((scene for scene in self.scenes if scene.run == step.run), None)
        if scene is None:
            return "stale_generation"
        scene.end("complete" if step.kind == "complete" else "error")
        scene.prose = step.text if step.kind == "complete" else scene.prose
        return "done"

    def _request(self, scene: SceneModel, step: Step) -> object:
        if scene.status == "generating":
            return "already_generating"
        scene.outline = step.text or scene.outline
        scene.regenerations += scene.prose is not None
        scene.status, scene.error, scene.run, scene.started = "generating", False, step.run, self.now
        return "done"

    def _edit(self, scene: SceneModel, step: Step) -> object:
        scene.prose = step.text
        return "done"

    def _delete(self, scene: SceneModel, _: Step) -> object:
        self.scenes.remove(scene)
        return "done"

    def _move(self, scene: SceneModel, step: Step) -> object:
        if step.number > len(self.scenes):
            return "invalid_input"
        self.scenes.remove(scene)
        self.scenes.insert(step.number - 1, scene)
        return "done"


texts = st.sampled_from(["$prose", "words", "more words", "{}"])
steps = st.one_of(
    st.builds(Step, st.just("request"), st.none() | texts),
    st.builds(Step, st.just("complete"), texts, st.integers(0, 3)),
    st.builds(Step, st.just("fail"), texts, st.integers(0, 3)),
    st.builds(Step, st.just("edit"), texts),
    st.builds(Step, st.just("release"), number=st.sampled_from([0, 10, 100])),
    st.builds(Step, st.just("move"), number=st.integers(1, MOST_SCENES + 1)),
    st.builds(Step, st.just("delete")),
)


class Workflow(RuleBasedStateMachine):
    """Runs beside the event loop of the test, in a thread: hypothesis drives it, the loop does the steps."""

    loop: asyncio.AbstractEventLoop
    stories: Stories
    clock: dict[str, int]

    def __init__(self) -> None:
        super().__init__()
        self.model = ChapterModel()
        self.chapter: Chapter = self.wait_for(chapter(self.stories))
        self.runs = itertools.count(1)
        self.tokens: dict[int, GenerationToken] = {0: GenerationToken(ObjectId())}
        self.runs_of: dict[SceneId, list[int]] = {}
        self.clock["now"] = self.model.now

    def wait_for(self, work: Awaitable[T]) -> T:
        """Have the loop do it."""

        async def run() -> T:
            return await work

        return asyncio.run_coroutine_threadsafe(run(), self.loop).result(30)

    @precondition(lambda self: len(self.model.scenes) < MOST_SCENES)
    @rule()
    def add(self) -> None:
        """A new scene."""
        made = self.wait_for(self.stories.scenes.create(self.chapter.id, "outline"))
        self.model.scenes.append(SceneModel(made.id, "outline"))
        self.runs_of[made.id] = [0]

    @rule(milliseconds=st.sampled_from([1, 10, 50]))
    def time_passes(self, milliseconds: int) -> None:
        """For the runs that are under way."""
        self.model.now += milliseconds
        self.clock["now"] = self.model.now

    @precondition(lambda self: self.runs_of)
    @rule(number=st.integers(0, 10), chosen=st.lists(steps, min_size=1, max_size=4))
    def act(self, number: int, chosen: list[Step]) -> None:
        """Some steps at once, on one scene; it may have been deleted."""
        ids = [scene.id for scene in self.model.scenes] or list(self.runs_of)
        id = ids[number % len(ids)]
        chosen = [self.named(id, step) for step in chosen]
        results = self.wait_for(self.at_once(id, chosen))
        self.runs_of[id] += [step.run for step in chosen if step.kind == "request" and step.run in self.tokens]
        found = self.wait_for(self.stories.scenes.in_chapter(self.chapter.id))
        for order in itertools.permutations(range(len(chosen))):
            model = copy.deepcopy(self.model)
            expected = {index: model.do(id, chosen[index]) for index in order}
            if [expected[index] for index in range(len(chosen))] == results and self.agrees(model, found):
                self.model = model
                return
        message = f"{list(zip(chosen, results, strict=True))} left {found}, from {self.model}"
        raise AssertionError(message)

    @invariant()
    def everything_is_as_the_model_says(self) -> None:
        """Each field of each scene, their order, and how many are in each state."""
        assert self.agrees(self.model, self.wait_for(self.stories.scenes.in_chapter(self.chapter.id)))
        counts = self.wait_for(self.stories.scenes.status_counts(self.chapter.story_id))
        statuses = [scene.status for scene in self.model.scenes]
        assert counts == {status: statuses.count(status) for status in ("draft", "generating", "complete", "error")}

    def teardown(self) -> None:
        """Every rule holds, and the next one finds nothing."""
        assert self.wait_for(violations(self.stories.database)) == []
        self.wait_for(self.stories.stories.delete(self.chapter.story_id))

    def named(self, id: SceneId, step: Step) -> Step:
        """A request gets a number of its own; a result is that of one of the scene's runs, or of none ever."""
        if step.kind == "request":
            return Step("request", step.text, next(self.runs))
        if step.kind in ("complete", "fail"):
            # The newest ones first, which are the most interesting.
            return Step(step.kind, step.text, self.runs_of[id][-1 - step.run % len(self.runs_of[id])])
        return step

    async def at_once(self, id: SceneId, chosen: Sequence[Step]) -> list[object]:
        """Start the steps together, and say how each ended."""
        return list(await asyncio.gather(*(self.outcome(id, step) for step in chosen)))

    async def outcome(self, id: SceneId, step: Step) -> object:
        """How a step ends: a value, or the code of an error."""
        scenes, token = self.stories.scenes, self.tokens.get(step.run)
        try:
            match step.kind:
                case "request":
                    ticket: GenerationTicket = await scenes.request_generation(id, outline=step.text)
                    self.tokens[step.run] = ticket.token
                case "complete":
                    await scenes.complete_generation(token, step.text)  # type: ignore[arg-type]
                case "fail":
                    await scenes.fail_generation(token, step.text)  # type: ignore[arg-type]
                case "edit":
                    await scenes.edit(id, prose=step.text or UNSET)
                case "move":
                    await scenes.move(id, step.number)
                case "delete":
                    await scenes.delete(id)
                case "release":
                    return await scenes.release_stale(step.number)
        except DataLayerError as error:
            return error.code
        return "done"

    def agrees(self, model: ChapterModel, found: Sequence[Scene]) -> bool:
        """Whether the scenes in the database are the model's."""
        return [self.expected(number, scene) for number, scene in enumerate(model.scenes, 1)] == [
            scene.model_dump(exclude={"story_id", "chapter_id", "error_message"})
            | {"error": scene.error_message is not None}
            for scene in found
        ]

    def expected(self, number: int, scene: SceneModel) -> dict[str, Any]:
        """A scene of the model, as the database should have it."""
        return {
            "id": scene.id,
            "scene_number": number,
            "outline": scene.outline,
            "prose": scene.prose,
            "status": scene.status,
            "error": scene.error,
            "regeneration_count": scene.regenerations,
            # A run of the model whose request did not succeed has no token.
            "generation_token": None if scene.run is None else self.tokens.get(scene.run, "none"),
            "generation_started_at": scene.started,
        }


async def test_the_workflow_is_the_models(stories: Stories) -> None:
    clock = {"now": 0}
    async with Stories.over(stories.database, schema="skip", clock=lambda: clock["now"]) as timed:
        bound: dict[str, Any] = {"loop": asyncio.get_running_loop(), "stories": timed, "clock": clock}
        machine = type("BoundWorkflow", (Workflow,), bound)
        chosen = settings(
            max_examples=settings().max_examples // 3,
            stateful_step_count=15,
            suppress_health_check=list(HealthCheck),
        )
        await asyncio.to_thread(run_state_machine_as_test, machine, settings=chosen)
