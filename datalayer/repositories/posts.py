"""What people write in the spaces."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from bson import ObjectId
from pydantic import Field

from datalayer.documents.follows import Follow
from datalayer.documents.posts import MAX_MEDIA, Post
from datalayer.documents.spaces import Space
from datalayer.documents.users import User
from datalayer.engine.boundary import UNSET, Cursor, Limit, Many, Unset
from datalayer.engine.collection import LOCK
from datalayer.engine.connection import Connection
from datalayer.engine.fields import Body, File, Html, StorageId, Text, Timestamp
from datalayer.engine.group_commit import GroupCommit
from datalayer.engine.pages import Page
from datalayer.engine.repository import ALIVE, AT_ONCE, SoftDeletingRepository, not_found
from datalayer.errors import PinLimitError
from datalayer.ids import PostId, SpaceId, UserId
from datalayer.repositories.shared.authors import lock_authors
from datalayer.repositories.shared.awards import Cause
from datalayer.repositories.shared.consequences import MAX_MENTIONS, Act, Wanted, bring_about
from datalayer.repositories.shared.telling import Actor, Notice

MAX_PINNED = 3


@dataclass(frozen=True, slots=True)
class _Draft:
    """What `create` is asked to write, and where."""

    space_id: SpaceId
    content: str
    content_html: str
    title: str | None
    media_ids: Sequence[StorageId] | None
    mentions: Sequence[UserId]
    wanted: Wanted


class Posts(SoftDeletingRepository[Post, PostId]):
    """The posts, by space, by author and by time.

    Concurrent posts of one author in one process share transactions. Inside `transaction` they belong to the
    transaction that is open.
    """

    document = Post

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self._groups = GroupCommit[UserId, _Draft, Post](
            connection, self._apply, lambda author_id: [(User.Settings.name, author_id)]
        )

    async def create(
        self,
        space_id: SpaceId,
        author_id: UserId,
        *,
        content: Body,
        content_html: Html,
        title: Annotated[str, Text(1, 200)] | None = None,
        media_ids: Annotated[Many[File], Field(max_length=MAX_MEDIA)] | None = None,
        mention_ids: Annotated[Many[UserId], Field(max_length=MAX_MENTIONS)] = (),
        reward: bool = False,
        notify: bool = False,
    ) -> Post:
        """Write a post.

        A transaction of 4 round trips, shared with concurrent posts of the author. It has 8 round trips with `reward`,
        by_action, by_threshold and by_userId_and_action_and_reference, 6 with `notify`, and at most 10 with both.

        Args:
            space_id: The space.
            author_id: Who writes it.
            content: What it says, in the editor's form.
            content_html: The same, as it is shown.
            title: Its title.
            media_ids: The files that it shows.
            mention_ids: Whom it mentions, among those who may see the space; up to 100.
            reward: Give the author the points of `post`.
            notify: Tell those who are mentioned (`mention`), but not the author.

        Raises:
            NotFoundError: There is no such space or author.
        """
        media = None if media_ids is None else list(media_ids)
        wanted = Wanted(reward, notify)
        draft = _Draft(space_id, content, content_html, title, media, list(mention_ids), wanted)
        return await self._groups.submit(author_id, draft)

    async def edit(
        self,
        id: PostId,
        *,
        content: Body | Unset = UNSET,
        content_html: Html | Unset = UNSET,
        title: Annotated[str, Text(1, 200)] | Unset | None = UNSET,
        media_ids: Annotated[Many[File], Field(max_length=MAX_MEDIA)] | Unset | None = UNSET,
    ) -> Post:
        """Change what the post says; sets `editedAt`. One round trip.

        Raises:
            NotFoundError: There is none.
        """
        changes = self._changes(
            content=content, content_html=content_html, title=title, media_ids=media_ids, edited_at=self._now()
        )
        return await self._update({"_id": id, **ALIVE}, changes)

    async def pin(self, id: PostId) -> Post:
        """Put the post on top of its space; one that is there stays where it is.

        A transaction of 5 round trips; by_spaceId_and_pinnedAt_and_createdAt counts those that are pinned.

        Raises:
            PinLimitError: The space has three pinned posts.
            NotFoundError: There is no such post.
        """

        async def work() -> Post:
            post = self._found(await self._one({"_id": id, **ALIVE}), id)
            if post.pinned_at is not None:
                return post
            # Two that pin in one space at once must conflict: neither sees the other's pin.
            await self._of(Space).update_one({"_id": post.space_id}, LOCK)
            pinned = {"spaceId": post.space_id, **ALIVE, "pinnedAt": {"$gte": 0}}
            index = "by_spaceId_and_pinnedAt_and_createdAt"
            if await self._collection.count_documents(pinned, limit=MAX_PINNED, hint=index) == MAX_PINNED:
                raise PinLimitError
            return await self._update({"_id": id, **ALIVE}, {"$set": {"pinnedAt": self._now()}})

        return await self._connection.transaction(work)

    async def unpin(self, id: PostId) -> Post:
        """Take the post from the top of its space; safe to repeat. One round trip.

        Raises:
            NotFoundError: There is no such post.
        """
        return await self._update({"_id": id, **ALIVE}, {"$unset": {"pinnedAt": ""}})

    async def delete(self, id: PostId) -> None:
        """Mark the post as deleted, and unpin it; its comments and likes stay, unlisted. One round trip.

        Raises:
            NotFoundError: There is none, or it is deleted.
        """
        await self._update({"_id": id, **ALIVE}, {"$set": {"deletedAt": self._now()}, "$unset": {"pinnedAt": ""}})

    async def feed(self, space_id: SpaceId, *, limit: Limit = 20, after: Cursor | None = None) -> Page[Post]:
        """The space's posts: pinned ones first, the newest pin first, then the newest. One round trip.

        Served by by_spaceId_and_pinnedAt_and_createdAt, where posts that are not pinned come last.
        """
        index = "by_spaceId_and_pinnedAt_and_createdAt"
        return await self._page({"spaceId": space_id, **ALIVE}, index, limit, after)

    async def in_space(
        self,
        space_id: SpaceId,
        *,
        order: Literal["newest", "oldest"] = "newest",
        limit: Limit = 20,
        after: Cursor | None = None,
    ) -> Page[Post]:
        """The space's posts by time. One round trip, by_spaceId_and_createdAt."""
        filter = {"spaceId": space_id, **ALIVE}
        return await self._page(filter, "by_spaceId_and_createdAt", limit, after, newest_first=order == "newest")

    async def by_author(self, author_id: UserId, *, limit: Limit = 20, after: Cursor | None = None) -> Page[Post]:
        """The author's posts, newest first. One round trip, by_authorId_and_createdAt."""
        return await self._page({"authorId": author_id, **ALIVE}, "by_authorId_and_createdAt", limit, after)

    async def recent(
        self, *, space_ids: Many[SpaceId] | None = None, limit: Limit = 20, after: Cursor | None = None
    ) -> Page[Post]:
        """The posts of these spaces, or of all, newest first; not those of deleted spaces. 2 round trips.

        Served by by_spaceId_and_createdAt: one seek for each space, and the page. All spaces come by
        by_deletedAt_and_order.
        """

        async def spaces() -> list[ObjectId]:
            among = {} if space_ids is None else {"_id": {"$in": list(space_ids)}}
            index = "by_deletedAt_and_order" if space_ids is None else "_id_"
            found = self._of(Space).find({**among, **ALIVE}, {"_id": 1}, batch_size=AT_ONCE, hint=index)
            return [space["_id"] for space in await found.to_list()]

        query = ("posts", "recent", None if space_ids is None else sorted(set(space_ids)))
        return await self._merged_page("spaceId", spaces, limit, after, query)

    async def following(self, user_id: UserId, *, limit: Limit = 20, after: Cursor | None = None) -> Page[Post]:
        """The posts of the people whom the user follows, newest first. 2 round trips.

        Served by by_followerId_and_followingId and by_authorId_and_createdAt: one seek for each of them, and the page.
        Beyond 200 of them also by by_createdAt, where the server finds that shorter.
        """

        async def authors() -> list[ObjectId]:
            followed, index = {"_id": 0, "followingId": 1}, "by_followerId_and_followingId"
            follows = self._of(Follow).find({"followerId": user_id}, followed, batch_size=AT_ONCE, hint=index)
            return [follow["followingId"] for follow in await follows.to_list()]

        return await self._merged_page("authorId", authors, limit, after, ("posts", "following", user_id))

    async def count_since(self, space_id: SpaceId, since: Timestamp) -> int:
        """How many posts the space got at this time or later.

        One round trip, by_spaceId_and_createdAt: a key and a document for each of them.
        """
        filter = {"spaceId": space_id, "createdAt": {"$gte": since}, **ALIVE}
        return await self._collection.count_documents(filter, hint="by_spaceId_and_createdAt")

    async def _apply(self, author_id: UserId, drafts: Sequence[_Draft]) -> Sequence[Post | Exception]:
        """Write the author's posts, in order. In a transaction."""
        # The author first, who is what these transactions contend for.
        author = (await lock_authors(self._of(User), {author_id})).get(author_id)
        among = {"_id": {"$in": list({draft.space_id for draft in drafts})}, **ALIVE}
        found = self._of(Space).find(among, {"_id": 1}, batch_size=AT_ONCE, hint="_id_")
        spaces = {space["_id"] for space in await found.to_list()}
        now = self._now()
        answers: list[Post | Exception] = []
        for draft in drafts:
            if draft.space_id not in spaces:
                answers.append(not_found(Space, draft.space_id))
            elif author is None:
                answers.append(not_found(User, author_id))
            else:
                post = self.document(
                    space_id=draft.space_id,
                    author_id=author_id,
                    author_name=author.name,
                    author_avatar=author.avatar,
                    title=draft.title,
                    content=draft.content,
                    content_html=draft.content_html,
                    media_ids=None if draft.media_ids is None else [*draft.media_ids],
                    like_count=0,
                    comment_count=0,
                    created_at=now,
                )
                answers.append(post)
        if new := [post.to_wire() for post in answers if isinstance(post, Post)]:
            await self._collection.insert_many(new)
        acts = [
            _act(draft, Actor(author_id, author), post)
            for draft, post in zip(drafts, answers, strict=True)
            if isinstance(post, Post) and author is not None
        ]
        await bring_about(self._connection, acts)
        return answers


def _act(draft: _Draft, actor: Actor, post: Post) -> Act:
    told = [Notice(id, "mention", actor, {"postId": post.id}) for id in draft.mentions]
    return Act(draft.wanted, [Cause(actor.id, "post", "post", str(post.id))], told)
