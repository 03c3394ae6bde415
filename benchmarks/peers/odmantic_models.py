"""ODMantic. It writes `null` for a field without a value, which the validator rejects; so its models have only the
fields that the documents here have. It supports neither hints nor batch sizes."""
# pyright: reportMissingImports=false, reportMissingTypeStubs=false, reportUnknownVariableType=false
# pyright: reportUnknownMemberType=false, reportUnknownLambdaType=false, reportUntypedBaseClass=false
# pyright: reportUnknownArgumentType=false, reportArgumentType=false, reportCallIssue=false
# ruff: noqa: N815, D205, D209

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from motor.motor_asyncio import AsyncIOMotorClient
from odmantic import AIOEngine, Model, ObjectId
from odmantic.query import SortExpression

from benchmarks.work import DATABASE, FEED_ORDER, PAGE, Operations, Stage, post, user


class Post(Model):
    """A post."""

    spaceId: ObjectId
    authorId: ObjectId
    authorName: str
    authorAvatar: str | None = None
    title: str | None = None
    content: str
    contentHtml: str
    mediaIds: list[str] | None = None
    likeCount: int
    commentCount: int
    editedAt: int | None = None
    createdAt: int

    model_config = {"collection": "posts"}  # noqa: RUF012


class User(Model):
    """A user."""

    name: str | None = None
    visibility: str
    role: str
    points: int
    level: int
    createdAt: int
    updatedAt: int

    model_config = {"collection": "users"}  # noqa: RUF012


@asynccontextmanager
async def opened(stage: Stage) -> AsyncGenerator[Operations]:
    """The work, with ODMantic."""
    client = AsyncIOMotorClient(stage.uri)
    engine = AIOEngine(client=client, database=DATABASE)
    order = SortExpression(dict(FEED_ORDER))

    async def bulk(number: int) -> None:
        await engine.save_all([Post(**post(stage.bulk_space_id, index)) for index in range(number)])

    try:
        yield Operations(
            get=lambda: engine.find_one(Post, stage.by_id()),
            page=lambda: engine.find(Post, stage.feed(), sort=order, limit=PAGE + 1),
            listed=lambda: engine.find(Post, stage.listed()),
            create=lambda: engine.save(User(**user())),
            bulk=bulk,
        )
    finally:
        client.close()
