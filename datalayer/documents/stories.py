"""Stories, their chapters and characters."""

from collections.abc import Sequence
from typing import Annotated, ClassVar, TypeAlias

from datalayer.engine.document import Document, new_id
from datalayer.engine.fields import Count, Name, Positive, Text, Timestamp, Title
from datalayer.engine.indexes import Index, TableSettings
from datalayer.ids import ChapterId, CharacterId, StoryId

CHAPTERS = 24
"""The number of chapters of a new story."""

Traits: TypeAlias = Annotated[str, Text(1, 1_000)]
"""What a character is like."""

Backstory: TypeAlias = Annotated[str, Text(0, 5_000)]
"""What happened to a character before the story."""


class Story(Document):
    """A story. A new one has 24 chapters."""

    id: StoryId = new_id()
    title: Title
    revision: Count | None = None
    created_at: Timestamp

    class Settings(TableSettings):
        """The collection."""

        name = "stories"
        written_by = "stories.stories: create, rename, delete"
        indexes: ClassVar[Sequence[Index]] = (
            Index("by_createdAt", "createdAt", why="the list of stories, newest first"),
        )


class Chapter(Document):
    """A chapter of a story. `chapter_number` counts from 1."""

    id: ChapterId = new_id()
    story_id: StoryId
    chapter_number: Positive
    title: Title
    revision: Count | None = None

    class Settings(TableSettings):
        """The collection."""

        name = "chapters"
        written_by = "stories.chapters: rename"
        indexes: ClassVar[Sequence[Index]] = (
            Index("by_story", "storyId"),
            Index(
                "by_storyId_and_chapterNumber",
                *("storyId", "chapterNumber"),
                unique=True,
                why="the chapters of a story in order, unique numbers",
            ),
        )


class Character(Document):
    """A character of a story."""

    id: CharacterId = new_id()
    story_id: StoryId
    name: Name
    traits: Traits
    backstory: Backstory | None = None

    class Settings(TableSettings):
        """The collection."""

        name = "characters"
        written_by = "stories.characters: create, update, delete"
        indexes: ClassVar[Sequence[Index]] = (Index("by_story", "storyId"),)
