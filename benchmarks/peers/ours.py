"""This library."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from bson import ObjectId

from benchmarks.work import LISTED, PAGE, Operations, Row, Stage, post
from datalayer import Community
from datalayer.documents import Post
from datalayer.ids import PostId, SpaceId, UserId
from datalayer.seeding.loading import insert
from seed.measure import Silence


def made(space_id: ObjectId, number: int) -> Post:
    """Return a validated post."""
    row: Row = post(space_id, number)
    return Post(
        space_id=SpaceId(space_id),
        author_id=UserId(row["authorId"]),
        author_name=row["authorName"],
        author_avatar=row["authorAvatar"],
        title=row["title"],
        content=row["content"],
        content_html=row["contentHtml"],
        media_ids=row["mediaIds"],
        like_count=row["likeCount"],
        comment_count=row["commentCount"],
        edited_at=row["editedAt"],
        created_at=row["createdAt"],
    )


@asynccontextmanager
async def opened(stage: Stage) -> AsyncGenerator[Operations]:
    """The work, with the repositories; many documents are written as in the seeding."""
    async with Community.connect(stage.uri) as community:
        space_id, ids = SpaceId(stage.space_id), [PostId(id) for id in stage.ids]

        async def bulk(number: int) -> None:
            rows = (made(stage.bulk_space_id, index).to_wire() for index in range(number))
            await insert(community.database.posts, rows, Silence())

        yield Operations(
            get=lambda: community.posts.get(PostId(stage.one())),
            page=lambda: community.posts.feed(space_id, limit=PAGE),
            listed=lambda: community.posts.get_many(ids[:LISTED]),
            create=lambda: community.users.create(name="Ada"),
            bulk=bulk,
        )
