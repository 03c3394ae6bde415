"""Pymongo's async API with plain dicts: the baseline of the comparison."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from bson import ObjectId
from pymongo import AsyncMongoClient

from benchmarks.work import DATABASE, FEED_INDEX, FEED_ORDER, LISTED, PAGE, Operations, Row, Stage, post, user


@asynccontextmanager
async def opened(stage: Stage) -> AsyncGenerator[Operations]:
    """The work, with the driver."""
    async with AsyncMongoClient[Row](stage.uri) as client:
        posts, users = client[DATABASE].posts, client[DATABASE].users

        async def bulk(number: int) -> None:
            rows = [{"_id": ObjectId(), **post(stage.bulk_space_id, index)} for index in range(number)]
            await posts.insert_many(rows, ordered=False)

        yield Operations(
            get=lambda: posts.find_one(stage.by_id()),
            page=lambda: posts.find(stage.feed(), sort=FEED_ORDER, limit=PAGE + 1, hint=FEED_INDEX).to_list(),
            listed=lambda: posts.find(stage.listed(), batch_size=LISTED + 1).to_list(),
            create=lambda: users.insert_one({"_id": ObjectId(), **user()}),
            bulk=bulk,
        )
