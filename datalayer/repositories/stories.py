"""Stories, their chapters and characters."""

from datalayer.documents.stories import Chapter, Character, Story
from datalayer.ids import ChapterId, CharacterId, StoryId
from datalayer.repositories.base import Repository


class StoryRepository(Repository[Story, StoryId]):
    """Stories by id."""

    document = Story


class Chapters(Repository[Chapter, ChapterId]):
    """Chapters by id."""

    document = Chapter


class Characters(Repository[Character, CharacterId]):
    """Characters by id."""

    document = Character
