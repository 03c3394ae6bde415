"""The characters of the stories."""

from datalayer.documents.stories import Backstory, Character, Story, Traits
from datalayer.engine.boundary import UNSET, Unset
from datalayer.engine.collection import LOCK
from datalayer.engine.fields import Name
from datalayer.engine.repository import Repository, not_found
from datalayer.ids import CharacterId, StoryId


class Characters(Repository[Character, CharacterId]):
    """The people of the stories."""

    document = Character
    belongs_to = (Story, "storyId")

    async def create(
        self, story_id: StoryId, *, name: Name, traits: Traits, backstory: Backstory | None = None
    ) -> Character:
        """Make a character. A transaction of 3 round trips.

        Raises:
            NotFoundError: There is no such story.
        """

        async def work() -> Character:
            # A write, so that it conflicts with the story's deletion.
            story = await self._of(Story).update_one({"_id": story_id}, LOCK)
            if story.matched_count == 0:
                raise not_found(Story, story_id)
            return await self._insert(self.document(story_id=story_id, name=name, traits=traits, backstory=backstory))

        return await self._connection.transaction(work)

    async def update(
        self,
        id: CharacterId,
        *,
        name: Name | Unset = UNSET,
        traits: Traits | Unset = UNSET,
        backstory: Backstory | Unset | None = UNSET,
    ) -> Character:
        """Change some of the character's fields. One round trip.

        Raises:
            NotFoundError: There is none.
        """
        return await self._update({"_id": id}, self._changes(name=name, traits=traits, backstory=backstory))

    async def in_story(self, story_id: StoryId) -> list[Character]:
        """The story's characters in the order of their creation, at one moment. One round trip, by_story."""
        async with self._connection.snapshot():
            return await self._visible({"storyId": story_id}, sort={"_id": 1}, hint="by_story")
