"""Posts in spaces."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from bson import ObjectId
from pydantic import Field

from datalayer.documents.follows import Follow
from datalayer.documents.posts import MAX_MEDIA, Post
from datalayer.documents.spaces import Space
from datalayer.documents.users import User
from datalayer.engine.boundary import UNSET, AnyCollection, Cursor, Limit, Unset
from datalayer.engine.collection import LOCK, insert_all
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
    """The arguments of one call of `create`."""

    space_id: SpaceId
    content: str
    content_html: str
    title: str | None
    media_ids: Sequence[StorageId] | None
    mentions: Sequence[UserId]
    wanted: Wanted


class Posts(SoftDeletingRepository[Post, PostId]):
    """The posts.

    Concurrent posts of one author in one process share transactions. Inside `transaction` they belong to the open
    transaction.
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
        media_ids: Annotated[AnyCollection[File], Field(max_length=MAX_MEDIA)] | None = None,
        mention_ids: Annotated[AnyCollection[UserId], Field(max_length=MAX_MENTIONS)] = (),
        reward: bool = False,
        notify: bool = False,
    ) -> Post:
        """Create a post in a space.

        Args:
            space_id: The space.
            author_id: The author.
            content: The text in the editor's format.
            content_html: The same text as HTML.
            title: The title.
            media_ids: The storage ids of the attached files.
            mention_ids: Up to 100 mentioned users. Pass only users who may see the space.
            reward: Award the author the points for `post`.
            notify: Notify the mentioned users (`mention`), but not the author.

        Raises:
            NotFoundError: The space or author does not exist, or the space is deleted.

        Cost: one transaction, 4 round trips; concurrent posts of the author share it. It takes 8 round trips with
        `reward` (indexes by_action, by_threshold, by_userId_and_action_and_reference), 6 with `notify`, at most 10 with
        both.
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
        media_ids: Annotated[AnyCollection[File], Field(max_length=MAX_MEDIA)] | Unset | None = UNSET,
    ) -> Post:
        """Change the given fields of the post and set `editedAt`.

        Raises:
            NotFoundError: The post does not exist or is deleted.

        Cost: 1 round trip; index `_id`.
        """
        changes = self._changes(
            content=content, content_html=content_html, title=title, media_ids=media_ids, edited_at=self._now()
        )
        return await self._update({"_id": id, **ALIVE}, changes)

    async def pin(self, id: PostId) -> Post:
        """Pin the post to the top of its space. Idempotent: a pinned post keeps its position.

        Raises:
            PinLimitError: The space already has three pinned posts.
            NotFoundError: The post does not exist or is deleted.

        Cost: one transaction, 5 round trips; index by_spaceId_and_pinnedAt_and_createdAt.
        """

        async def work() -> Post:
            post = self._found(await self._one({"_id": id, **ALIVE}), id)
            if post.pinned_at is not None:
                return post
            # Concurrent pins in one space must conflict, because neither sees the other's pin.
            await self._of(Space).update_one({"_id": post.space_id}, LOCK)
            pinned = {"spaceId": post.space_id, **ALIVE, "pinnedAt": {"$gte": 0}}
            index = "by_spaceId_and_pinnedAt_and_createdAt"
            if await self._collection.count_documents(pinned, limit=MAX_PINNED, hint=index) == MAX_PINNED:
                raise PinLimitError
            return await self._update({"_id": id, **ALIVE}, {"$set": {"pinnedAt": self._now()}})

        return await self._connection.transaction(work)

    async def unpin(self, id: PostId) -> Post:
        """Unpin the post. Idempotent.

        Raises:
            NotFoundError: The post does not exist or is deleted.

        Cost: 1 round trip; index `_id`.
        """
        return await self._update({"_id": id, **ALIVE}, {"$unset": {"pinnedAt": ""}})

    async def delete(self, id: PostId) -> None:
        """Soft-delete the post and unpin it. Its comments and likes are kept but not listed.

        Raises:
            NotFoundError: The post does not exist or is already deleted.

        Cost: 1 round trip; index `_id`.
        """
        await self._update({"_id": id, **ALIVE}, {"$set": {"deletedAt": self._now()}, "$unset": {"pinnedAt": ""}})

    async def feed(self, space_id: SpaceId, *, limit: Limit = 20, after: Cursor | None = None) -> Page[Post]:
        """Return a page of the space's posts: pinned posts first, the latest pin on top, then the others, newest first.

        The page is empty if the space does not exist.

        Cost: 1 round trip; index by_spaceId_and_pinnedAt_and_createdAt, in which posts that are not pinned come last.
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
        """Return a page of the space's posts, newest or oldest first.

        Cost: 1 round trip; index by_spaceId_and_createdAt.
        """
        filter = {"spaceId": space_id, **ALIVE}
        return await self._page(filter, "by_spaceId_and_createdAt", limit, after, newest_first=order == "newest")

    async def by_author(self, author_id: UserId, *, limit: Limit = 20, after: Cursor | None = None) -> Page[Post]:
        """Return a page of the author's posts, newest first.

        Cost: 1 round trip; index by_authorId_and_createdAt.
        """
        return await self._page({"authorId": author_id, **ALIVE}, "by_authorId_and_createdAt", limit, after)

    async def recent(
        self, *, space_ids: AnyCollection[SpaceId] | None = None, limit: Limit = 20, after: Cursor | None = None
    ) -> Page[Post]:
        """Return a page of the posts of several spaces, or of all, newest first, without those of deleted spaces.

        Args:
            space_ids: The spaces, by default all.
            limit: The page size.
            after: The cursor of the previous page.

        Cost: 2 round trips; index by_spaceId_and_createdAt (one seek per space, and the page), and
        by_deletedAt_and_order if all spaces are read.
        """

        async def spaces() -> list[ObjectId]:
            among = {} if space_ids is None else {"_id": {"$in": list(space_ids)}}
            index = "by_deletedAt_and_order" if space_ids is None else "_id_"
            found = self._of(Space).find({**among, **ALIVE}, {"_id": 1}, batch_size=AT_ONCE, hint=index)
            return [space["_id"] for space in await found.to_list()]

        query = ("posts", "recent", None if space_ids is None else sorted(set(space_ids)))
        return await self._merged_page("spaceId", spaces, limit, after, query)

    async def following(self, user_id: UserId, *, limit: Limit = 20, after: Cursor | None = None) -> Page[Post]:
        """Return a page of the posts of the users that the user follows, newest first.

        Cost: 2 round trips; indexes by_followerId_and_followingId and by_authorId_and_createdAt (one seek per followed
        user, and the page). If the user follows more than 200, the server may choose by_createdAt where that is faster.
        """

        async def authors() -> list[ObjectId]:
            followed, index = {"_id": 0, "followingId": 1}, "by_followerId_and_followingId"
            follows = self._of(Follow).find({"followerId": user_id}, followed, batch_size=AT_ONCE, hint=index)
            return [follow["followingId"] for follow in await follows.to_list()]

        return await self._merged_page("authorId", authors, limit, after, ("posts", "following", user_id))

    async def count_since(self, space_id: SpaceId, since: Timestamp) -> int:
        """Count the posts created in the space at or after this time.

        Args:
            space_id: The space.
            since: The time, in Unix milliseconds.

        Cost: 1 round trip; index by_spaceId_and_createdAt, one key and one document per post.
        """
        filter = {"spaceId": space_id, "createdAt": {"$gte": since}, **ALIVE}
        return await self._collection.count_documents(filter, hint="by_spaceId_and_createdAt")

    async def _apply(self, author_id: UserId, drafts: Sequence[_Draft]) -> Sequence[Post | Exception]:
        """Create the author's posts, in order. Runs in a transaction."""
        # The author first: that is the document which these transactions contend for.
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
            await insert_all(self._collection, new)
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
