"""Creates documents of stories for tests, through the repositories, so that every rule holds."""

from datalayer.database import Stories
from datalayer.documents import Chapter, Character, Scene, Story
from datalayer.ids import ChapterId, StoryId
from datalayer.testing.references import Numbers, id_of, stored


class StoriesFactories:
    """Creates documents of stories: `make = StoriesFactories(stories)`, then `scene = await make.scene()`.

    As with `Factories`, required documents that you omit are created, other documents are passed as documents or ids,
    and names are numbered.
    """

    def __init__(self, stories: Stories) -> None:
        self._stories = stories
        self._named = Numbers().name

    async def story(self, *, title: str | None = None) -> Story:
        """Create a story with its 24 chapters."""
        return await self._stories.stories.create(self._named("Story", title))

    async def chapter(
        self, *, story: Story | StoryId | None = None, number: int = 1, title: str | None = None
    ) -> Chapter:
        """Return the chapter with this number, renamed if a title is given. Every story starts with 24 chapters."""
        story_id = await id_of(story, self.story)
        chapter = await stored(self._stories, Chapter, storyId=story_id, chapterNumber=number)
        return chapter if title is None else await self._stories.chapters.rename(chapter.id, title)

    async def scene(
        self, *, chapter: Chapter | ChapterId | None = None, outline: str | None = None, prose: str | None = None
    ) -> Scene:
        """Create a scene, the last of its chapter: a draft, or, with prose, a generated one."""
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
        """Create a character of a story."""
        return await self._stories.characters.create(
            await id_of(story, self.story), name=self._named("Character", name), traits=traits, backstory=backstory
        )
