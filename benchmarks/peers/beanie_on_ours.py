"""Beanie's own queries of this library's document classes: what differs is how it gets from the wire to an instance."""
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownLambdaType=false

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from benchmarks.peers.ours import made
from benchmarks.work import FEED_INDEX, FEED_ORDER, LISTED, PAGE, Operations, Stage
from datalayer import Community
from datalayer.documents import Post, User


def _user() -> User:
    now = 1_700_000_000_000
    return User(name="Ada", visibility="public", role="member", points=0, level=1, created_at=now, updated_at=now)


@asynccontextmanager
async def opened(stage: Stage) -> AsyncGenerator[Operations]:
    """The work, with Beanie."""
    async with Community.connect(stage.uri):
        order: Any = list(FEED_ORDER)

        async def bulk(number: int) -> None:
            await Post.insert_many([made(stage.bulk_space_id, index) for index in range(number)], ordered=False)

        yield Operations(
            get=lambda: Post.find_one(stage.by_id()),
            page=lambda: Post.find(stage.feed(), sort=order, limit=PAGE + 1, hint=FEED_INDEX).to_list(),
            listed=lambda: Post.find(stage.listed(), batch_size=LISTED + 1).to_list(),
            create=lambda: _user().insert(),
            bulk=bulk,
        )
