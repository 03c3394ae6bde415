"""MongoEngine, which is synchronous: each call runs in a thread pool, as it must in an async application."""
# pyright: reportMissingImports=false, reportMissingTypeStubs=false, reportUnknownVariableType=false
# pyright: reportUnknownMemberType=false, reportUntypedBaseClass=false, reportUnknownArgumentType=false
# pyright: reportAttributeAccessIssue=false, reportUnknownLambdaType=false
# ruff: noqa: N815

import asyncio
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

import mongoengine
from mongoengine import fields

from benchmarks.pairs import Work
from benchmarks.work import DATABASE, FEED_INDEX, LISTED, PAGE, Operations, Stage, post, user

THREADS = 32


class Post(mongoengine.Document):
    """A post."""

    spaceId = fields.ObjectIdField(required=True)
    authorId = fields.ObjectIdField(required=True)
    authorName = fields.StringField(required=True)
    authorAvatar = fields.StringField()
    title = fields.StringField()
    content = fields.StringField(required=True)
    contentHtml = fields.StringField(required=True)
    mediaIds = fields.ListField(fields.StringField())
    likeCount = fields.LongField(required=True)
    commentCount = fields.LongField(required=True)
    pinnedAt = fields.LongField()
    editedAt = fields.LongField()
    createdAt = fields.LongField(required=True)
    deletedAt = fields.LongField()

    # The indexes exist, so MongoEngine need not check them before a write.
    meta = {"collection": "posts", "auto_create_index": False}  # noqa: RUF012


class User(mongoengine.Document):
    """A user."""

    name = fields.StringField()
    visibility = fields.StringField(required=True)
    role = fields.StringField(required=True)
    points = fields.LongField(required=True)
    level = fields.LongField(required=True)
    createdAt = fields.LongField(required=True)
    updatedAt = fields.LongField(required=True)

    meta = {"collection": "users", "auto_create_index": False}  # noqa: RUF012


@asynccontextmanager
async def opened(stage: Stage) -> AsyncGenerator[Operations]:
    """The work, with MongoEngine."""
    mongoengine.connect(DATABASE, host=stage.uri, uuidRepresentation="standard")
    order = ("-pinnedAt", "-createdAt", "-id")

    def bulk(number: int) -> None:
        Post.objects.insert([Post(**post(stage.bulk_space_id, index)) for index in range(number)], load_bulk=False)

    with ThreadPoolExecutor(THREADS) as pool:

        def threaded(call: Callable[[], object]) -> Work:
            return lambda: asyncio.get_running_loop().run_in_executor(pool, call)

        yield Operations(
            get=threaded(lambda: Post.objects(__raw__=stage.by_id()).first()),
            page=threaded(
                lambda: list(Post.objects(__raw__=stage.feed()).order_by(*order).hint(FEED_INDEX).limit(PAGE + 1))
            ),
            listed=threaded(lambda: list(Post.objects(__raw__=stage.listed()).batch_size(LISTED + 1))),
            create=threaded(lambda: User(**user()).save(force_insert=True)),
            bulk=lambda number: threaded(lambda: bulk(number))(),
        )
    mongoengine.disconnect()
