"""The scenes of a story, which a language model writes."""

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal, TypeAlias

from datalayer.engine.document import Document, new_id
from datalayer.engine.fields import Body, Count, Note, Positive, Text, Timestamp
from datalayer.engine.indexes import Index, TableSettings
from datalayer.ids import ChapterId, GenerationToken, SceneId, StoryId

SceneStatus: TypeAlias = Literal["draft", "generating", "complete", "error"]

Outline: TypeAlias = Annotated[str, Text(1, 2_000)]
"""What happens in a scene."""


class Scene(Document):
    """A scene of a chapter. `scene_number` counts from 1; `generation_*` belong to the run that is under way."""

    id: SceneId = new_id()
    story_id: StoryId
    chapter_id: ChapterId
    scene_number: Positive
    outline: Outline
    prose: Body | None = None
    status: SceneStatus
    error_message: Note | None = None
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
                why="the scenes of a chapter in order, one for each number",
            ),
            Index(
                "by_generationToken",
                "generationToken",
                unique=True,
                where={"generationToken": {"$exists": True}},
                why="the scene that a run of the generation belongs to",
            ),
            Index(
                "by_status_and_generationStartedAt",
                *("status", "generationStartedAt"),
                where={"status": "generating"},
                why="the runs that began too long ago",
            ),
        )
