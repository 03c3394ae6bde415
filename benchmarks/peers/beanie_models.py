"""Beanie, its documents declared and used as its documentation shows."""
# pyright: reportMissingTypeStubs=false, reportUnknownVariableType=false, reportUnknownMemberType=false
# pyright: reportUnknownLambdaType=false, reportIncompatibleVariableOverride=false, reportUnknownArgumentType=false
# ruff: noqa: N815

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import beanie
from beanie import PydanticObjectId
from pymongo import AsyncMongoClient

from benchmarks.work import DATABASE, FEED_INDEX, FEED_ORDER, LISTED, PAGE, Operations, Row, Stage, post, user


class Post(beanie.Document):
    """A post."""

    spaceId: PydanticObjectId
    authorId: PydanticObjectId
    authorName: str
    authorAvatar: str | None = None
    title: str | None = None
    content: str
    contentHtml: str
    mediaIds: list[str] | None = None
    likeCount: int
    commentCount: int
    pinnedAt: int | None = None
    editedAt: int | None = None
    createdAt: int
    deletedAt: int | None = None

    class Settings:
        """The collection; fields without a value are not written."""

        name = "posts"
        keep_nulls = False


class User(beanie.Document):
    """A user."""

    name: str | None = None
    visibility: str
    role: str
    points: int
    level: int
    createdAt: int
    updatedAt: int

    class Settings:
        """The collection; fields without a value are not written."""

        name = "users"
        keep_nulls = False


@asynccontextmanager
async def opened(stage: Stage) -> AsyncGenerator[Operations]:
    """The work, with Beanie."""
    async with AsyncMongoClient[Row](stage.uri) as client:
        await beanie.init_beanie(client[DATABASE], document_models=[Post, User])
        order: Any = list(FEED_ORDER)

        async def bulk(number: int) -> None:
            await Post.insert_many([Post(**post(stage.bulk_space_id, index)) for index in range(number)], ordered=False)

        yield Operations(
            get=lambda: Post.find_one(stage.by_id()),
            page=lambda: Post.find(stage.feed(), sort=order, limit=PAGE + 1, hint=FEED_INDEX).to_list(),
            listed=lambda: Post.find(stage.listed(), batch_size=LISTED + 1).to_list(),
            create=lambda: User(**user()).insert(),
            bulk=bulk,
        )
