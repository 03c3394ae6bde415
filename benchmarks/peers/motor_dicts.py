"""Motor with plain dicts."""
# pyright: reportMissingImports=false, reportMissingTypeStubs=false, reportUnknownVariableType=false
# pyright: reportUnknownMemberType=false, reportUnknownLambdaType=false, reportUnknownArgumentType=false

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from bson import ObjectId
from motor.motor_asyncio import AsyncIOMotorClient

from benchmarks.work import DATABASE, FEED_INDEX, FEED_ORDER, LISTED, PAGE, Operations, Stage, post, user


@asynccontextmanager
async def opened(stage: Stage) -> AsyncGenerator[Operations]:
    """The work, with Motor."""
    client = AsyncIOMotorClient(stage.uri)
    posts, users = client[DATABASE].posts, client[DATABASE].users

    async def bulk(number: int) -> None:
        rows = [{"_id": ObjectId(), **post(stage.bulk_space_id, index)} for index in range(number)]
        await posts.insert_many(rows, ordered=False)

    try:
        yield Operations(
            get=lambda: posts.find_one(stage.by_id()),
            page=lambda: posts.find(stage.feed(), sort=list(FEED_ORDER), limit=PAGE + 1, hint=FEED_INDEX).to_list(None),
            listed=lambda: posts.find(stage.listed(), batch_size=LISTED + 1).to_list(None),
            create=lambda: users.insert_one({"_id": ObjectId(), **user()}),
            bulk=bulk,
        )
    finally:
        client.close()
