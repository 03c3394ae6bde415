"""The scenes of a story, whose prose a language model generates."""

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal, TypeAlias

from datalayer.engine.document import Document, new_id
from datalayer.engine.fields import Body, Count, Positive, ShortText, Text, Timestamp
from datalayer.engine.indexes import Index, TableSettings
from datalayer.ids import ChapterId, GenerationToken, SceneId, StoryId

SceneStatus: TypeAlias = Literal["draft", "generating", "complete", "error"]

Outline: TypeAlias = Annotated[str, Text(1, 2_000)]
"""What happens in a scene."""


class Scene(Document):
    """A scene of a chapter. `scene_number` counts from 1. `generation_*` describe the current generation run."""

    id: SceneId = new_id()
    story_id: StoryId
    chapter_id: ChapterId
    scene_number: Positive
    outline: Outline
    prose: Body | None = None
    status: SceneStatus
    error_message: ShortText | None = None
    regeneration_count: Count
    generation_token: GenerationToken | None = None
    generation_started_at: Timestamp | None = None

    class Settings(TableSettings):
        """The collection."""

        name = "scenes"
        written_by = "stories.scenes: create, edit, request_generation, delete"
        indexes: ClassVar[Sequence[Index]] = (
            Index("by_story", "storyId"),
            Index("by_chapter", "chapterId"),
            Index(
                "by_chapterId_and_sceneNumber",
                *("chapterId", "sceneNumber"),
                unique=True,
                why="the scenes of a chapter in order, unique numbers",
            ),
            Index(
                "by_generationToken",
                "generationToken",
                unique=True,
                where={"generationToken": {"$exists": True}},
                why="the scene of a generation run",
            ),
            Index(
                "by_status_and_generationStartedAt",
                *("status", "generationStartedAt"),
                where={"status": "generating"},
                why="generation runs that started too long ago",
            ),
        )
