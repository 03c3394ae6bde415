"""The characters of the stories."""

from datalayer.documents.stories import Backstory, Character, Story, Traits
from datalayer.engine.boundary import UNSET, Unset
from datalayer.engine.collection import LOCK
from datalayer.engine.fields import Name
from datalayer.engine.repository import Repository, not_found
from datalayer.ids import CharacterId, StoryId


class Characters(Repository[Character, CharacterId]):
    """The characters of the stories."""

    document = Character
    belongs_to = (Story, "storyId")

    async def create(
        self, story_id: StoryId, *, name: Name, traits: Traits, backstory: Backstory | None = None
    ) -> Character:
        """Create a character in a story.

        Raises:
            NotFoundError: The story does not exist.

        Cost: one transaction, 3 round trips; index `_id`.
        """

        async def work() -> Character:
            # A write, so that it conflicts with a concurrent deletion of the story.
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
        """Change the given fields of the character.

        Raises:
            NotFoundError: The character does not exist.

        Cost: 1 round trip; index `_id`.
        """
        return await self._update({"_id": id}, self._changes(name=name, traits=traits, backstory=backstory))

    async def in_story(self, story_id: StoryId) -> list[Character]:
        """Return the story's characters in order of creation, read from one snapshot.

        Cost: 1 round trip; index by_story.
        """
        async with self._connection.snapshot():
            return await self._visible({"storyId": story_id}, sort={"_id": 1}, hint="by_story")
