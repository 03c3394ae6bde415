"""Pages of what is left after a look at other tables: cheap at any depth, and complete whatever is left out."""

from typing import Any

import pytest
from bson import ObjectId

from datalayer import Community
from datalayer.engine.ids import new_object_id
from datalayer.testing import count_commands
from datalayer.testing.explained import explain, statements
from tests.community.test_pages import read_all
from tests.community.world import person, post

MANY = 600


async def _liked_comments(community: Community, deleted: set[int]) -> tuple[Any, list[ObjectId]]:
    """Somebody likes many comments, some of which are deleted; the ids of the likes of the others, newest first."""
    user = await person(community)
    where = await post(community)
    comment = (await community.comments.create(where.id, user.id, "x")).to_wire()
    comments = [
        comment | {"_id": new_object_id(), **({"deletedAt": 1} if number in deleted else {})} for number in range(MANY)
    ]
    await community.database.comments.insert_many(comments)
    likes = [
        {"_id": new_object_id(), "userId": user.id, "targetType": "comment", "targetId": row["_id"], "createdAt": 1}
        for row in comments
    ]
    await community.database.likes.insert_many(likes)
    kept = [like["_id"] for number, like in enumerate(likes) if number not in deleted]
    return user, kept[::-1]


async def test_a_page_reads_a_few_more_than_it_gives(community: Community) -> None:
    """A limit behind the lookup alone would have the server read all of the user's likes for each page."""
    user, _ = await _liked_comments(community, set())
    after = None
    for _ in range(3):
        with count_commands(community) as commands:
            page = await community.likes.by_user(user.id, limit=20, after=after)
        (command,) = commands
        plan = await explain(community.database, statements(command.document)[0])
        assert len(page.items) == 20
        # Each is a key of the like, one of the comment, and one of its post.
        assert plan.keys <= 3 * 1.4 * 20
        after = page.next


@pytest.mark.parametrize(
    "deleted",
    [{*range(MANY)}, {*range(0, MANY, 2)}, {*range(20, MANY - 20)}, {0, MANY - 1}, {*range(MANY - 30, MANY)}],
    ids=["all", "every other", "a long run", "the ends", "the newest"],
)
async def test_whatever_is_deleted_the_rest_is_listed(community: Community, deleted: set[int]) -> None:
    user, kept = await _liked_comments(community, deleted)
    for limit in (23, 100):
        assert [like.id for like in await read_all(community.likes.by_user, user.id, limit=limit)] == kept


async def test_a_long_run_of_deleted_ones_takes_few_round_trips(community: Community) -> None:
    """Each looks at twice as many as the one before."""
    user, kept = await _liked_comments(community, {*range(20, MANY - 3)})
    with count_commands(community) as commands:
        page = await community.likes.by_user(user.id, limit=5)
    assert [like.id for like in page.items] == kept[:5]
    assert len(commands) <= 7
