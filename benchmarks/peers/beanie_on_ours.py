"""Beanie's own queries of this library's document classes; only the conversion of documents to instances differs."""
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownLambdaType=false

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from beanie.odm.utils.dump import get_dict

from benchmarks.peers.ours import made
from benchmarks.work import FEED_INDEX, FEED_ORDER, LISTED, PAGE, Operations, Stage
from datalayer import Community
from datalayer.documents import Document, Post, User


def _user() -> User:
    now = 1_700_000_000_000
    return User(name="Ada", visibility="public", role="member", points=0, level=1, created_at=now, updated_at=now)


def _wire(document: Document) -> dict[str, Any]:
    return get_dict(document, to_db=True, keep_nulls=False)


@asynccontextmanager
async def opened(stage: Stage) -> AsyncGenerator[Operations]:
    """The work, with Beanie."""
    async with Community.connect(stage.uri) as community:
        order: Any = list(FEED_ORDER)

        # These classes reject Beanie's own writes. This measures how Beanie converts an instance to a document.
        async def create() -> None:
            await community.database.users.insert_one(_wire(_user()))

        async def bulk(number: int) -> None:
            wires = [_wire(made(stage.bulk_space_id, index)) for index in range(number)]
            await community.database.posts.insert_many(wires, ordered=False)

        yield Operations(
            get=lambda: Post.find_one(stage.by_id()),
            page=lambda: Post.find(stage.feed(), sort=order, limit=PAGE + 1, hint=FEED_INDEX).to_list(),
            listed=lambda: Post.find(stage.listed(), batch_size=LISTED + 1).to_list(),
            create=create,
            bulk=bulk,
        )
