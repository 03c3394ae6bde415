"""Documents of stories for tests, made by the repositories, so that every rule holds."""

from datalayer.database import Stories
from datalayer.documents import Chapter, Character, Scene, Story
from datalayer.ids import ChapterId, StoryId
from datalayer.testing.references import Numbers, id_of, stored


class StoriesFactories:
    """Makes documents of stories: `make = StoriesFactories(stories)`, then `scene = await make.scene()`.

    As `Factories`: what has to be there is made where it is left out, documents are referred to by themselves or by
    their ids, and names are numbered.
    """

    def __init__(self, stories: Stories) -> None:
        self._stories = stories
        self._named = Numbers().name

    async def story(self, *, title: str | None = None) -> Story:
        """A story with its 24 chapters."""
        return await self._stories.stories.create(self._named("Story", title))

    async def chapter(
        self, *, story: Story | StoryId | None = None, number: int = 1, title: str | None = None
    ) -> Chapter:
        """The chapter of this number, with another title where one is given: a story has 24 from the beginning."""
        story_id = await id_of(story, self.story)
        chapter = await stored(self._stories, Chapter, storyId=story_id, chapterNumber=number)
        return chapter if title is None else await self._stories.chapters.rename(chapter.id, title)

    async def scene(
        self, *, chapter: Chapter | ChapterId | None = None, outline: str | None = None, prose: str | None = None
    ) -> Scene:
        """A scene, the last of its chapter: a draft, or with prose one that was generated."""
        scene = await self._stories.scenes.create(await id_of(chapter, self.chapter), self._named("Outline", outline))
        if prose is None:
            return scene
        ticket = await self._stories.scenes.request_generation(scene.id)
        return await self._stories.scenes.complete_generation(ticket.token, prose)

    async def character(
        self,
        *,
        story: Story | StoryId | None = None,
        name: str | None = None,
        traits: str = "curious",
        backstory: str | None = None,
    ) -> Character:
        """A character of a story."""
        return await self._stories.characters.create(
            await id_of(story, self.story), name=self._named("Character", name), traits=traits, backstory=backstory
        )
